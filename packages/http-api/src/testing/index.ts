/** The test kit of this package. */
export { type ApiServer, type ApiServerOptions, startApiServer } from './api-server.ts';
