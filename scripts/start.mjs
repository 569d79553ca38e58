/** `npm start [-- flags]`: installs what running needs, builds, and becomes `gauntlet standalone` with the given flags. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { build, install, root } from './bootstrap.mjs';

await install('run');
await build();

const child = spawn(process.execPath, [join(root, 'bin', 'gauntlet'), 'standalone', ...process.argv.slice(2)], { stdio: 'inherit' });
// Ctrl-C reaches the whole process group; the service shuts down in order and this process only waits for it.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => signal === 'SIGTERM' && child.kill(signal));
child.on('exit', (code, signal) => process.exit(signal ? 130 : (code ?? 1)));
