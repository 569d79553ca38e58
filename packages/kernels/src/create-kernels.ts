/** Makes a set of kernels with their own memory: the WebAssembly module where it runs, else the TypeScript twins. */
import { KernelError } from './errors.ts';
import { createChunkFieldTwin } from './js/chunk-fields.ts';
import { createFrameTwin } from './js/chunk-frames.ts';
import { createFloatTextTwin } from './js/float-text.ts';
import { createHashTwin } from './js/crc32c.ts';
import { createMergeCheckTwin } from './js/check-merge.ts';
import { createMergeTwin } from './js/merge-columns.ts';
import { createReplicaTwin } from './js/merge-penalty.ts';
import { createAggregateTwin } from './js/aggregate.ts';
import { createPostingsTwin } from './js/postings.ts';
import { createSpacingTwin } from './js/spacing.ts';
import { createSeriesEntryTwin } from './js/series-entries.ts';
import { createKeyTableTwin } from './js/key-table.ts';
import { createSnappyTwin } from './js/snappy.ts';
import { createWriteRequestTwin } from './js/write-request.ts';
import { createWindowTwin } from './js/windows.ts';
import { createXorTwin } from './js/xor.ts';
import { createXorNewestTwin } from './js/xor-newest.ts';
import { createXor2Twin } from './js/xor2.ts';
import { createHistogramEncodeTwin } from './js/histogram-encode.ts';
import { createHistogramTwin } from './js/histogram-samples.ts';
import { createPlainBacking, LinearMemory } from './kernel-memory.ts';
import { KERNELS_WASM_BASE64 } from './kernels-wasm.ts';
import type { FloatTextKernels, HashKernels, Kernels, SeriesEntryKernels, XorKernels, XorNewestKernels } from './kernels.ts';
import type { ChunkFieldKernels } from './chunk-field-kernels.ts';
import type { FrameKernels, MergeCheckKernels, MergeKernels } from './frame-kernels.ts';
import type { PostingsKernels } from './postings-kernels.ts';
import type { ReplicaKernels } from './replica-kernels.ts';
import type { SpacingKernels } from './spacing-kernels.ts';
import type { AggregateKernels, WindowKernels } from './window-kernels.ts';
import type { HistogramKernels } from './histogram-kernels.ts';
import type { IngestKernels } from './ingest-kernels.ts';
import type { Xor2Kernels } from './xor2-kernels.ts';

/** Options of `createKernels`. */
export interface KernelOptions {
  /** Default: `wasm` if this machine compiles the module (it needs SIMD), else `js`. */
  readonly backend?: 'wasm' | 'js';
  /** Upper bound of the memory, bytes, rounded down to 64 KiB; default 512 MiB, at most 4 GiB − 64 KiB. */
  readonly maxMemoryBytes?: number;
  /** Bytes to start with; default 1 MiB. */
  readonly initialBytes?: number;
}

/** What the module exports: every kernel under its own name, and where its tables end. */
interface ModuleExports extends XorKernels, XorNewestKernels, Xor2Kernels, HistogramKernels, HashKernels, SeriesEntryKernels, FloatTextKernels, WindowKernels, AggregateKernels, SpacingKernels, FrameKernels, MergeKernels, MergeCheckKernels, ReplicaKernels, IngestKernels, ChunkFieldKernels, PostingsKernels {
  readonly heapBase: () => number;
}

const PAGE_BYTES = 65536;
const PAGES_MAX = 65535;
const DEFAULT_MAX_BYTES = 512 * 1024 * 1024;
const DEFAULT_INITIAL_BYTES = 1024 * 1024;
/** What the module's tables need at least. */
const INITIAL_PAGES_MIN = 2;
/** The twins keep no tables in memory, but pointer 0 stays invalid. */
const TWIN_START = 1024;

// One compilation serves all instances of this thread; undefined until tried, null if it does not compile here.
let compiled: WebAssembly.Module | null | undefined;

/**
 * Kernels over a memory of their own. Synchronous: the module is part of the code.
 * @throws KernelError ERR_KERNEL_UNSUPPORTED when `wasm` is demanded and this machine has no WebAssembly with SIMD;
 *   ERR_KERNEL_MEMORY when the first bytes cannot be had
 */
export function createKernels(options: KernelOptions = {}): Kernels {
  const maxPages = Math.min(PAGES_MAX, Math.floor((options.maxMemoryBytes ?? DEFAULT_MAX_BYTES) / PAGE_BYTES));
  const initialPages = Math.max(INITIAL_PAGES_MIN, Math.ceil(Math.min(options.initialBytes ?? DEFAULT_INITIAL_BYTES, maxPages * PAGE_BYTES) / PAGE_BYTES));
  if (maxPages < INITIAL_PAGES_MIN) {
    throw new KernelError('ERR_KERNEL_MEMORY', `create kernels: limit ${maxPages * PAGE_BYTES} bytes, want ${INITIAL_PAGES_MIN * PAGE_BYTES} at least`);
  }
  const module = options.backend === 'js' ? null : compileModule();
  if (module !== null) return createWasmKernels(module, initialPages, maxPages);
  if (options.backend === 'wasm') throw new KernelError('ERR_KERNEL_UNSUPPORTED', 'create kernels: no WebAssembly with SIMD here');
  return createTwinKernels(initialPages, maxPages);
}

function createWasmKernels(module: WebAssembly.Module, initialPages: number, maxPages: number): Kernels {
  let wasmMemory: WebAssembly.Memory;
  try {
    wasmMemory = new WebAssembly.Memory({ initial: initialPages, maximum: maxPages });
  } catch (cause) {
    throw new KernelError('ERR_KERNEL_MEMORY', `create kernel memory: ${initialPages * PAGE_BYTES} bytes, limit ${maxPages * PAGE_BYTES}`, { cause });
  }
  const exports = new WebAssembly.Instance(module, { env: { memory: wasmMemory } }).exports as unknown as ModuleExports;
  const { heapBase, ...kernels } = exports;
  const memory = new LinearMemory(
    {
      buffer: () => wasmMemory.buffer,
      grow(bytes) {
        try {
          wasmMemory.grow(Math.ceil((bytes - wasmMemory.buffer.byteLength) / PAGE_BYTES));
          return true;
        } catch {
          return false;
        }
      },
    },
    heapBase(),
    maxPages * PAGE_BYTES,
  );
  return { ...kernels, backend: 'wasm', memory };
}

function createTwinKernels(initialPages: number, maxPages: number): Kernels {
  const memory = new LinearMemory(createPlainBacking(initialPages * PAGE_BYTES), TWIN_START, maxPages * PAGE_BYTES);
  const xor = createXorTwin(memory);
  return {
    ...xor,
    ...createXorNewestTwin(memory),
    ...createFrameTwin(memory, xor),
    ...createMergeTwin(memory),
    ...createMergeCheckTwin(memory),
    ...createReplicaTwin(memory),
    ...createChunkFieldTwin(memory),
    ...createXor2Twin(memory),
    ...createHistogramTwin(memory),
    ...createHistogramEncodeTwin(memory),
    ...createHashTwin(memory),
    ...createSeriesEntryTwin(memory),
    ...createFloatTextTwin(memory),
    ...createWindowTwin(memory),
    ...createAggregateTwin(memory),
    ...createSpacingTwin(memory),
    ...createSnappyTwin(memory),
    ...createWriteRequestTwin(memory),
    ...createKeyTableTwin(memory),
    ...createPostingsTwin(memory),
    backend: 'js',
    memory,
  };
}

function compileModule(): WebAssembly.Module | null {
  if (compiled === undefined) {
    try {
      compiled = new WebAssembly.Module(Uint8Array.from(atob(KERNELS_WASM_BASE64), (char) => char.charCodeAt(0)));
    } catch {
      compiled = null;
    }
  }
  return compiled;
}
