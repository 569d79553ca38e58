/**
 * `thanos.shipper.json`: which local blocks need no look at the bucket any more. It only saves requests; lost or damaged, it is
 * rebuilt. Prometheus reads it too (`--storage.tsdb.delay-compact-file.path`), so its format is Thanos'.
 */
import { readFile } from 'node:fs/promises';

import { errorText, systemErrorCode } from '@gauntlet/service-kit';
import type { Logger } from '@gauntlet/service-kit';

import { encodeGoJson } from './go-json.ts';
import { writeFileAtomically } from './local-file.ts';

/** Default of `--shipper.meta-file-name`. */
export const SHIPPER_STATE_FILE = 'thanos.shipper.json';

/** Reads the ids of shipped blocks; undefined if there is no usable file. */
export async function readShipperState(path: string, log: Logger): Promise<readonly string[] | undefined> {
  try {
    const json = JSON.parse(await readFile(path, 'utf8')) as { version?: unknown; uploaded?: unknown } | null;
    if (json?.version !== 1) throw new Error(`unexpected meta file version ${String(json?.version)}`);
    const { uploaded = [] } = json;
    if (uploaded !== null && !(Array.isArray(uploaded) && uploaded.every((id) => typeof id === 'string'))) throw new Error('uploaded is not a list of block ids');
    return (uploaded as string[] | null) ?? [];
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') log.info('no shipper meta file found, creating empty meta data to write later', { path });
    else log.error('reading shipper meta file failed, creating empty meta data to write later', { path, err: errorText(error) });
    return undefined;
  }
}

/** Writes the ids of shipped blocks. */
export async function writeShipperState(path: string, uploaded: readonly string[]): Promise<void> {
  const text = encodeGoJson({ version: 1, uploaded: uploaded.length === 0 ? null : uploaded }, '\t');
  await writeFileAtomically(path, [new TextEncoder().encode(`${text}\n`)]);
}
