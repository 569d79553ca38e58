/** The real programs of tier 2, found on PATH (MinIO also where `go install` puts it) and started on free loopback ports. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { type RunningProcess, freePort, startProcess, temporaryDir, waitForUrl } from './process.ts';

const CANDIDATES: Readonly<Record<string, readonly string[]>> = {
  prometheus: ['prometheus'],
  promtool: ['promtool'],
  alertmanager: ['alertmanager', 'prometheus-alertmanager'],
  'node-exporter': ['node_exporter', 'prometheus-node-exporter'],
  minio: ['minio', join(homedir(), 'go', 'bin', 'minio')],
  chromium: ['chromium', 'chromium-browser', 'google-chrome'],
};

export type Peer = 'prometheus' | 'promtool' | 'alertmanager' | 'node-exporter' | 'minio' | 'chromium';

/** Path of a peer, or undefined when this machine has none. */
export function findPeer(peer: Peer): string | undefined {
  for (const name of CANDIDATES[peer]!) {
    if (name.startsWith('/')) {
      if (existsSync(name)) return name;
      continue;
    }
    for (const dir of (process.env['PATH'] ?? '').split(delimiter)) if (dir !== '' && existsSync(join(dir, name))) return join(dir, name);
  }
  return undefined;
}

/** Peers of the list that are missing here. With GAUNTLET_REQUIRE_PEERS=1 a missing one is an error instead of a skip. */
export function missingPeers(peers: readonly Peer[]): readonly Peer[] {
  const missing = peers.filter((peer) => findPeer(peer) === undefined);
  if (missing.length > 0 && process.env['GAUNTLET_REQUIRE_PEERS'] === '1') {
    throw new Error(`peers missing: ${missing.join(', ')}; scripts/install-peers.sh puts them on a Debian machine`);
  }
  return missing;
}

/** Path of a peer. @throws with the way to get it */
export function needPeer(peer: Peer): string {
  const path = findPeer(peer);
  if (path === undefined) throw new Error(`${peer} is not on PATH; scripts/install-peers.sh puts it on a Debian machine`);
  return path;
}

export interface PeerServer {
  readonly process: RunningProcess;
  /** `http://127.0.0.1:port` */
  readonly url: string;
  /** `127.0.0.1:port` */
  readonly address: string;
  readonly dataDir: string;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export interface PrometheusOptions {
  /** The configuration file's text. */
  readonly config: string;
  readonly dataDir?: string;
  readonly args?: readonly string[];
  readonly port?: number;
}

/** Prometheus with 2 h blocks that are never compacted, as beside a sidecar. */
export async function startPrometheus({ config, dataDir = temporaryDir('prometheus'), args = [], port }: PrometheusOptions): Promise<PeerServer> {
  mkdirSync(dataDir, { recursive: true });
  const configFile = join(dataDir, 'prometheus.yml');
  writeFileSync(configFile, config);
  const address = `127.0.0.1:${port ?? (await freePort())}`;
  const child = startProcess({
    name: 'prometheus',
    command: needPeer('prometheus'),
    args: [
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${join(dataDir, 'data')}`,
      `--web.listen-address=${address}`,
      '--storage.tsdb.min-block-duration=2h',
      '--storage.tsdb.max-block-duration=2h',
      '--web.enable-lifecycle',
      '--web.enable-admin-api',
      '--log.level=warn',
      ...args,
    ],
  });
  await waitForUrl(`http://${address}/-/ready`, child, 60_000);
  return { process: child, url: `http://${address}`, address, dataDir, stop: (signal) => child.stop(signal) };
}

/** node-exporter of this machine. */
export async function startNodeExporter(): Promise<PeerServer> {
  const address = `127.0.0.1:${await freePort()}`;
  const child = startProcess({ name: 'node-exporter', command: needPeer('node-exporter'), args: [`--web.listen-address=${address}`] });
  await waitForUrl(`http://${address}/metrics`, child);
  return { process: child, url: `http://${address}`, address, dataDir: '', stop: (signal) => child.stop(signal) };
}

export interface AlertmanagerOptions {
  /** Where its one receiver posts, a webhook. */
  readonly webhookUrl: string;
  /** How long it gathers alerts of a group before it tells; it tells of changes as soon. Default 1s. */
  readonly groupWait?: string;
  /** One that is to be found again after it was away. Default: a free one. */
  readonly port?: number;
}

/** Alertmanager with one webhook receiver, alone in its cluster. */
export async function startAlertmanager({ webhookUrl, groupWait = '1s', port }: AlertmanagerOptions): Promise<PeerServer> {
  const dataDir = temporaryDir('alertmanager');
  const configFile = join(dataDir, 'alertmanager.yml');
  writeFileSync(
    configFile,
    `route: {receiver: webhook, group_by: [alertname], group_wait: ${groupWait}, group_interval: ${groupWait}, repeat_interval: 1h}
receivers:
- name: webhook
  webhook_configs: [{url: '${webhookUrl}', send_resolved: true}]
`,
  );
  const address = `127.0.0.1:${port ?? (await freePort())}`;
  const child = startProcess({
    name: 'alertmanager',
    command: needPeer('alertmanager'),
    args: [`--config.file=${configFile}`, `--storage.path=${join(dataDir, 'data')}`, `--web.listen-address=${address}`, '--cluster.listen-address=', '--log.level=warn'],
  });
  await waitForUrl(`http://${address}/-/ready`, child, 60_000);
  return { process: child, url: `http://${address}`, address, dataDir, stop: (signal) => child.stop(signal) };
}
