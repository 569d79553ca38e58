/** The client of the AWS SDK as the settings ask for it. It makes one attempt: retries are up to the caller. */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';

import { S3Client } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';

import type { S3Settings } from './s3-config.ts';

/** Makes a client; no request is made yet. @param component shown to the store in User-Agent */
export function createS3Client(settings: S3Settings, component: string): S3Client {
  const agent = { keepAlive: true, maxSockets: settings.connectionsMax, maxFreeSockets: settings.idleConnectionsMax, timeout: settings.idleConnectionTimeoutMs + settings.responseHeaderTimeoutMs };
  const { tls, credentials } = settings;
  return new S3Client({
    endpoint: settings.endpoint,
    region: settings.region,
    forcePathStyle: settings.isPathStyle,
    followRegionRedirects: settings.endpoint.includes('amazonaws.com'),
    maxAttempts: 1,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    customUserAgent: [['gauntlet', component]],
    ...(credentials === undefined ? {} : {
      credentials: {
        accessKeyId: credentials.accessKey.reveal(), secretAccessKey: credentials.secretKey.reveal(),
        ...(credentials.sessionToken.isEmpty ? {} : { sessionToken: credentials.sessionToken.reveal() }),
      },
    }),
    requestHandler: new NodeHttpHandler({
      connectionTimeout: settings.connectTimeoutMs,
      requestTimeout: settings.responseHeaderTimeoutMs,
      throwOnRequestTimeout: true,
      httpAgent: new HttpAgent(agent),
      httpsAgent: new HttpsAgent({
        ...agent, rejectUnauthorized: tls.isVerified,
        ...(tls.ca === undefined ? {} : { ca: tls.ca }), ...(tls.cert === undefined ? {} : { cert: tls.cert }),
        ...(tls.key === undefined ? {} : { key: tls.key }), ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
      }),
    }),
  });
}
