export type { KernelMemory, Kernels } from './kernels.ts';
