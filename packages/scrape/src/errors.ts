/** The one error class of `scrape`: why a scrape, a target or a configuration is no good. Messages are shown on the targets page. */

/** Stable reasons; callers may switch on them. */
export type ScrapeErrorCode =
  | 'ERR_SCRAPE_CONFIG'
  | 'ERR_SCRAPE_TARGET'
  | 'ERR_SCRAPE_REQUEST'
  | 'ERR_SCRAPE_TIMEOUT'
  | 'ERR_SCRAPE_STATUS'
  | 'ERR_SCRAPE_BODY_SIZE'
  | 'ERR_SCRAPE_CONTENT_TYPE'
  | 'ERR_SCRAPE_PARSE'
  | 'ERR_SCRAPE_SERIES'
  | 'ERR_SCRAPE_SAMPLE_LIMIT'
  | 'ERR_SCRAPE_BUCKET_LIMIT'
  | 'ERR_SCRAPE_LABEL_LIMIT';

/** A scrape that brought nothing, or a target that cannot be scraped. */
export class ScrapeError extends Error {
  override readonly name = 'ScrapeError';
  /** Stable reason. */
  readonly code: ScrapeErrorCode;

  constructor(code: ScrapeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
