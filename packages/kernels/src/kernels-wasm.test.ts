/** The committed module belongs to the committed sources; the compiler is not needed to know. */
import { expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createKernels } from './create-kernels.ts';
import { KERNELS_SOURCE_SHA256, KERNELS_WASM_BASE64 } from './kernels-wasm.ts';

const home = join(process.cwd(), 'packages', 'kernels');

test('module text and module file are the same bytes, made from the sources of now', () => {
  expect(Buffer.from(KERNELS_WASM_BASE64, 'base64').equals(readFileSync(join(home, 'kernels.wasm')))).toBe(true);
  const hash = createHash('sha256');
  for (const name of readdirSync(join(home, 'as')).filter((file) => file.endsWith('.ts')).toSorted()) {
    hash.update(`${name}\0`).update(readFileSync(join(home, 'as', name))).update('\0');
  }
  expect(hash.digest('hex')).toBe(KERNELS_SOURCE_SHA256);
});

test('both backends have the same kernels, and the default is WebAssembly', () => {
  const names = (backend: 'wasm' | 'js'): string[] => Object.keys(createKernels({ backend })).toSorted();
  expect(names('wasm')).toEqual(names('js'));
  expect(createKernels().backend).toBe('wasm');
});
