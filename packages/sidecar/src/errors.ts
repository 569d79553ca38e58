/** Errors of the sidecar: one class, told apart by `code`. */

/** Stable codes of {@link SidecarError}. */
export type SidecarErrorCode =
  /** Prometheus has no external labels. */
  | 'ERR_SIDECAR_EXTERNAL_LABELS'
  /** Prometheus runs with flags that do not go with uploads. */
  | 'ERR_SIDECAR_PROMETHEUS_FLAGS'
  /** Prometheus cannot be reached, or gave an answer that is none of its API. */
  | 'ERR_SIDECAR_PROMETHEUS'
  /** A flag or file of ours asks for something that is not supported. */
  | 'ERR_SIDECAR_CONFIG';

/** What the sidecar throws outside of StoreAPI calls. */
export class SidecarError extends Error {
  override readonly name = 'SidecarError';
  readonly code: SidecarErrorCode;

  constructor(code: SidecarErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
