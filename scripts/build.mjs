/** `npm run build`: packages and UI, keyed by content hash. */
import { build, install } from './bootstrap.mjs';

await install('run');
await build();
