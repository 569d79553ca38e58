/** The sample shop as an HTTP service: `/<instance>/metrics` for each instance, in the Prometheus text format, and `/-/healthy`. */
import { createServer } from 'node:http';
import { listenOn } from '../listen-on.ts';
import { type ModelFamily, SHOP_INSTANCES, shopInstance, shopModel } from './shop-model.ts';

export interface SampleServiceOptions {
  /** Host to bind. */
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  readonly clock: () => number;
  /** How many instances; default those of SHOP_INSTANCES. */
  readonly instances?: number;
}

export interface SampleService {
  /** `host:port` that is listened on. */
  readonly address: string;
  /** Metrics paths, one per instance, in order. */
  readonly paths: readonly string[];
  stop(): Promise<void>;
}

const escapeValue = (value: string): string => value.replace(/[\\"\n]/g, (char) => (char === '\n' ? '\\n' : `\\${char}`));

function formatValue(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  return value === Infinity ? '+Inf' : value === -Infinity ? '-Inf' : String(value);
}

/** The families at one time in the Prometheus text format 0.0.4. */
export function exposeText(families: readonly ModelFamily[], tMs: number): string {
  let text = '';
  for (const family of families) {
    text += `# HELP ${family.name} ${family.help}\n# TYPE ${family.name} ${family.type}\n`;
    for (const series of family.series) {
      const labels = series.labels.map(([name, value]) => `${name}="${escapeValue(value)}"`).join(',');
      text += `${series.name}${labels === '' ? '' : `{${labels}}`} ${formatValue(series.valueAt(tMs))}\n`;
    }
  }
  return text;
}

/**
 * Starts the service.
 * @throws the listen error (EADDRINUSE, EACCES …) of Node when the address cannot be bound
 */
export async function startSampleService({ host, port, clock, instances = SHOP_INSTANCES.length }: SampleServiceOptions): Promise<SampleService> {
  const models = Array.from({ length: instances }, (_none, index) => shopModel(index));
  const paths = models.map((_model, index) => `/${shopInstance(index)}/metrics`);
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0]!;
    if (path === '/-/healthy' || path === '/-/ready') {
      response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8' }).end('OK\n');
      return;
    }
    const index = paths.indexOf(path);
    if (index < 0) {
      response.writeHead(404, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`not here; metrics are at ${paths.join(' ')}\n`);
      return;
    }
    response.writeHead(200, { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' }).end(exposeText(models[index]!, clock()));
  });
  return { ...(await listenOn(server, host, port)), paths };
}
