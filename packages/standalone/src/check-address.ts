/** Looks whether the addresses can be listened on, before anything else is begun. */
import { createServer } from 'node:net';
import { errorText, parseListenAddress, systemErrorCode } from '@gauntlet/service-kit';
import { StandaloneError } from './errors.ts';

/**
 * Listens for a moment.
 * @param flag what to change when it does not work, and an example of how
 * @throws StandaloneError ERR_ADDRESS; ServiceKitError ERR_LISTEN when the text is no address
 */
export async function checkAddress(address: string, flag: string, example: string): Promise<void> {
  const { host, port } = parseListenAddress(address);
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ port, ...(host === '' ? {} : { host }), exclusive: true }, resolve);
    });
    await new Promise<void>((resolve) => server.close(() => resolve()));
  } catch (error) {
    // The reason is in the text; as a cause it would be printed twice.
    const why = systemErrorCode(error) === 'EADDRINUSE' ? 'port in use by another process' : errorText(error);
    throw new StandaloneError('ERR_ADDRESS', `listen on ${address}: ${why}; choose another with --${flag}=${example}`);
  }
}
