'use strict';
// Second half of bin/gauntlet, read only by a Node that is new enough.
const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const cli = path.join(__dirname, '..', 'packages', 'cli', 'dist', 'main.js');
if (!fs.existsSync(cli)) {
  process.stderr.write(`gauntlet: this checkout is not built yet. Run \`npm run build\` in ${path.join(__dirname, '..')} first.\n`);
  process.exit(1);
}
void import(pathToFileURL(cli).href);
