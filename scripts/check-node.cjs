// Runs before anything else, on any Node back to 0.12: old syntax only. Says what is wrong when Node is too old for Gauntlet.
'use strict';
var parts = process.versions.node.split('.');
var major = Number(parts[0]);
var minor = Number(parts[1]);
var ok = (major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major > 22;
if (!ok) {
  process.stderr.write(
    'gauntlet: Node ' + process.versions.node + ' cannot run Gauntlet.\n' +
    '  needed: 20.19 or newer within 20, or 22.12 or newer (any later major)\n' +
    '  found:  ' + process.execPath + '\n' +
    '  Install a current LTS of Node.js (for example with nvm, fnm or your distribution) and run the command again.\n'
  );
  process.exit(1);
}
