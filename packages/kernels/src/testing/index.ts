/** For tests and benchmarks of packages that use the kernels. */
export { type BenchResult, type BenchVariant, compareVariants } from './bench.ts';
export { awkwardSamples, bitsOf, type SampleColumns } from './samples.ts';
