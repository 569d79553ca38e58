/**
 * An S3 that is not ours: what S3_ENDPOINT names (host:port, with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, and S3_INSECURE=1 for
 * plain HTTP), else MinIO of this machine over a temporary folder, else MinIO in a container where Docker answers. GAUNTLET_S3=docker
 * takes the container even where the program is there.
 */
import { spawnSync } from 'node:child_process';
import { signHeaders } from '@gauntlet/s3-server/testing';
import { type Peer, findPeer, needPeer } from './peers.ts';
import { freePort, startProcess, temporaryDir, waitFor, waitForUrl } from './process.ts';

export interface S3 {
  readonly name: string;
  /** Makes a bucket of this name, or takes it if it is there; returns the Thanos configuration text that leads to it. */
  createBucket(name: string): Promise<string>;
  /** Ends what was started. */
  stop(): Promise<void>;
}

/** The image of MinIO; one that is there already is not pulled. */
const MINIO_IMAGE = 'minio/minio:latest';

const hasDocker = (): boolean => spawnSync('docker', ['info'], { stdio: 'ignore' }).status === 0;
const usesDocker: boolean = process.env['S3_ENDPOINT'] === undefined && (process.env['GAUNTLET_S3'] === 'docker' || (findPeer('minio') === undefined && hasDocker()));

/** Programs that `openS3` needs on this machine. */
export const S3_PEERS: readonly Peer[] = process.env['S3_ENDPOINT'] === undefined && !usesDocker ? ['minio'] : [];

/** See the head of this file. */
export async function openS3(): Promise<S3> {
  const { S3_ENDPOINT, S3_INSECURE, AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = process.env;
  if (S3_ENDPOINT !== undefined) {
    const place = { address: S3_ENDPOINT, isInsecure: S3_INSECURE === '1', accessKey: AWS_ACCESS_KEY_ID, secretKey: AWS_SECRET_ACCESS_KEY };
    return { name: `S3 at ${S3_ENDPOINT}`, createBucket: (name) => createBucket(name, place), stop: async () => undefined };
  }
  if (usesDocker) return openMinioContainer();
  const place = { address: `127.0.0.1:${await freePort()}`, isInsecure: true, accessKey: 'gauntlet', secretKey: 'gauntlet-secret' };
  const child = startProcess({
    name: 'minio',
    command: needPeer('minio'),
    args: ['server', '--quiet', '--address', place.address, '--console-address', `127.0.0.1:${await freePort()}`, temporaryDir('minio')],
    env: { MINIO_ROOT_USER: place.accessKey, MINIO_ROOT_PASSWORD: place.secretKey, MINIO_UPDATE: 'off', MINIO_CALLHOME_ENABLE: 'off' },
  });
  await waitForUrl(`http://${place.address}/minio/health/ready`, child, 60_000);
  return { name: 'MinIO', createBucket: (name) => createBucket(name, place), stop: () => child.stop() };
}

async function openMinioContainer(): Promise<S3> {
  const { GenericContainer, Wait } = await import('testcontainers');
  const [accessKey, secretKey] = ['gauntlet', 'gauntlet-secret'];
  const container = await new GenericContainer(MINIO_IMAGE)
    .withCommand(['server', '--quiet', '/data'])
    .withEnvironment({ MINIO_ROOT_USER: accessKey, MINIO_ROOT_PASSWORD: secretKey, MINIO_UPDATE: 'off', MINIO_CALLHOME_ENABLE: 'off' })
    .withExposedPorts(9000)
    .withWaitStrategy(Wait.forHttp('/minio/health/ready', 9000))
    .start();
  const place = { address: `${container.getHost()}:${container.getMappedPort(9000)}`, isInsecure: true, accessKey, secretKey };
  return {
    name: 'MinIO in a container',
    createBucket: (name) => createBucket(name, place),
    async stop() {
      await container.stop();
    },
  };
}

interface Place {
  readonly address: string;
  readonly isInsecure: boolean;
  readonly accessKey: string;
  readonly secretKey: string;
}

async function createBucket(name: string, { address, isInsecure, accessKey, secretKey }: Place): Promise<string> {
  // For a moment after it says that it is ready MinIO may answer that it is not (XMinioServerNotInitialized).
  await waitFor(`the bucket ${name}`, async () => {
    const { headers } = signHeaders({ method: 'PUT', target: `/${name}`, headers: { host: address }, payloadHash: 'UNSIGNED-PAYLOAD', accessKey, secretKey, nowMs: Date.now() });
    const response = await fetch(`${isInsecure ? 'http' : 'https'}://${address}/${name}`, { method: 'PUT', headers });
    const text = await response.text();
    if (!response.ok && !text.includes('BucketAlreadyOwnedByYou')) throw new Error(`create bucket ${name}: HTTP ${response.status} ${text}`);
    return true;
  });
  return `type: S3\nconfig:\n  bucket: ${name}\n  endpoint: ${address}\n  insecure: ${isInsecure}\n  access_key: ${accessKey}\n  secret_key: ${secretKey}\n`;
}
