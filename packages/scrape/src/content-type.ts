/**
 * What to ask a target for, and how to read what it sends.
 * Source: Prometheus scrape/scrape.go, acceptHeader; model/textparse/interface.go, extractMediaType; config, "scrape_protocols".
 */
import { quoteGo } from '@gauntlet/model';
import { ScrapeError } from './errors.ts';
import type { ExpositionFormat } from './exposition.ts';

/** Formats by their names in configuration. */
export type ScrapeProtocol = 'PrometheusProto' | 'OpenMetricsText1.0.0' | 'OpenMetricsText0.0.1' | 'PrometheusText1.0.0' | 'PrometheusText0.0.4';

/** Names of the formats in configuration, best first, with media type and format. */
export const SCRAPE_PROTOCOLS: Readonly<Record<ScrapeProtocol, { readonly mediaType: string; readonly format: ExpositionFormat }>> = {
  PrometheusProto: { mediaType: 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited', format: 'protobuf' },
  'OpenMetricsText1.0.0': { mediaType: 'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8', format: 'openmetrics' },
  'OpenMetricsText0.0.1': { mediaType: 'application/openmetrics-text;version=0.0.1', format: 'openmetrics' },
  'PrometheusText1.0.0': { mediaType: 'text/plain;version=1.0.0;escaping=allow-utf-8', format: 'text' },
  'PrometheusText0.0.4': { mediaType: 'text/plain;version=0.0.4', format: 'text' },
};

/** The names, as Prometheus prefers them where no native histograms are wanted. */
export const DEFAULT_SCRAPE_PROTOCOLS: readonly ScrapeProtocol[] = ['OpenMetricsText1.0.0', 'OpenMetricsText0.0.1', 'PrometheusText1.0.0', 'PrometheusText0.0.4'];

/** The names where native histograms or start timestamps are wanted, which protobuf alone has. */
export const PROTO_FIRST_SCRAPE_PROTOCOLS: readonly ScrapeProtocol[] = ['PrometheusProto', ...DEFAULT_SCRAPE_PROTOCOLS];

/** The Accept header that asks for these protocols in this order. */
export function acceptHeader(protocols: readonly ScrapeProtocol[]): string {
  // Weights as Prometheus sends them: it counts down from one more than the protocols it knows.
  const values = protocols.map((protocol, i) => `${SCRAPE_PROTOCOLS[protocol].mediaType};q=0.${6 - i}`);
  return [...values, `*/*;q=0.${6 - protocols.length}`].join(',');
}

/**
 * The format of a body by its Content-Type.
 * @param fallback format to assume where the header is missing or means nothing
 * @throws ScrapeError ERR_SCRAPE_CONTENT_TYPE where there is no fallback either
 */
export function formatOfContentType(contentType: string, fallback: ScrapeProtocol | undefined): ExpositionFormat {
  const mediaType = contentType.split(';')[0]!.trim().toLowerCase();
  if (mediaType === 'application/openmetrics-text') return 'openmetrics';
  if (mediaType === 'text/plain') return 'text';
  if (mediaType === 'application/vnd.google.protobuf') return protobufFormat(contentType);
  if (fallback !== undefined) return SCRAPE_PROTOCOLS[fallback].format;
  const reason =
    contentType === ''
      ? 'non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target'
      : `received unsupported Content-Type ${quoteGo(contentType)} and no fallback_scrape_protocol specified for target`;
  throw new ScrapeError('ERR_SCRAPE_CONTENT_TYPE', reason);
}

/** Refuses protobuf of another shape, which would be read as damage. Parameters that are missing are what every target means. */
function protobufFormat(contentType: string): ExpositionFormat {
  for (const parameter of contentType.split(';').slice(1)) {
    const [name, value = ''] = parameter.split('=').map((part) => part.trim().replace(/^"(.*)"$/, '$1'));
    const wanted = name === 'proto' ? 'io.prometheus.client.MetricFamily' : name === 'encoding' ? 'delimited' : value;
    if (value !== wanted) throw new ScrapeError('ERR_SCRAPE_CONTENT_TYPE', `received Content-Type ${quoteGo(contentType)}: protobuf with ${name} ${quoteGo(value)} is not read, wanted ${wanted}`);
  }
  return 'protobuf';
}
