/** The one error class of `kernels`. Damaged data is a negative return value, not an error: the caller knows block and series. */

/** Stable reasons; callers may switch on them. */
export type KernelErrorCode = 'ERR_KERNEL_MEMORY' | 'ERR_KERNEL_UNSUPPORTED';

/** The kernels cannot do what was asked: no memory within the limit, or no WebAssembly on this machine. */
export class KernelError extends Error {
  override readonly name = 'KernelError';
  /** Stable reason. */
  readonly code: KernelErrorCode;

  constructor(code: KernelErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
