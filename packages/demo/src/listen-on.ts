/** Binding a plain HTTP server, and ending it with all its connections: for services that need nothing else. */
import type { Server } from 'node:http';

/** A server that listens. */
export interface Listening {
  /** `host:port` that is listened on. */
  readonly address: string;
  /** Ends the server and its connections. */
  stop(): Promise<void>;
}

/**
 * Binds the server. @param port 0 picks a free one
 * @throws the listen error (EADDRINUSE, EACCES …) of Node when the address cannot be bound
 */
export async function listenOn(server: Server, host: string, port: number): Promise<Listening> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error(`listen on ${host}:${port}: no TCP address`);
  return {
    address: `${host}:${bound.port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
