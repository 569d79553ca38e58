/**
 * Collects what runs from a built checkout into the root file system of an image:
 *
 *   /app/packages/<name>/{package.json,dist,node_modules}   packages that the cli reaches by `dependencies`, without types, maps and test kits
 *   /app/packages/ui/dist  /app/protos  /app/LICENSE        page and protocol files
 *   /app/node_modules/.pnpm/<id>                            packages from the registry that those reach
 *   /bin/gauntlet  /bin/thanos                              launchers
 *   /data                                                   empty; the Dockerfile gives it to uid 65534
 *
 *   node deploy/image/collect.mjs DIR
 *
 * Links stay links: the layout is pnpm's own. Fails when something that is declared is not installed.
 */
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, readlinkSync, realpathSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';

const root = realpathSync(join(import.meta.dirname, '..', '..'));
const out = process.argv[2];
if (out === undefined) {
  process.stderr.write('usage: node deploy/image/collect.mjs DIR\n');
  process.exit(2);
}
const app = join(out, 'app');

const readManifest = (dir) => JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
const isNeeded = (path) => !/\.(d\.[cm]?ts|[cm]?ts|tsx|map|md|markdown|flow|tsbuildinfo|gyp|c|cc|h)$/i.test(path);

/** Folders with a second form of the same code, which Node does not load unless the package's exports say so. */
const SECOND_FORMS = ['dist-es', 'dist-types', join('build', 'esm'), join('build', 'esnext')];

function copyTree(from, to, isSkipped = () => false) {
  cpSync(from, to, {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => {
      const name = path.split(sep).at(-1);
      if (isSkipped(path)) return false;
      return statSync(path).isDirectory() ? !['test', 'tests', '__tests__', 'docs', 'example', 'examples', '.github'].includes(name) || path === from : isNeeded(path);
    },
  });
}

const seenPackages = new Set();
const seenExternal = new Set();

/** A package of the workspace: its build, its links, and what it depends on. */
function collectWorkspace(dir) {
  if (seenPackages.has(dir)) return;
  seenPackages.add(dir);
  const target = join(app, relative(root, dir));
  const manifest = readManifest(dir);
  mkdirSync(target, { recursive: true });
  cpSync(join(dir, 'package.json'), join(target, 'package.json'));
  if (!existsSync(join(dir, 'dist'))) throw new Error(`collect ${manifest.name}: it is not built`);
  copyTree(join(dir, 'dist'), join(target, 'dist'), (path) => path === join(dir, 'dist', 'testing'));
  for (const name of Object.keys(manifest.dependencies ?? {})) follow(join(dir, 'node_modules', name), join(target, 'node_modules', name), name);
}

/** A package of the registry, with the links pnpm has put beside it. */
function collectExternal(dir) {
  if (seenExternal.has(dir)) return;
  seenExternal.add(dir);
  const target = join(app, relative(root, dir));
  const manifest = readManifest(dir);
  const declared = `${JSON.stringify(manifest.exports ?? '')} ${manifest.main ?? ''}`;
  const dropped = SECOND_FORMS.filter((folder) => !declared.includes(folder.replaceAll(sep, '/'))).map((folder) => join(dir, folder));
  copyTree(dir, target, (path) => dropped.includes(path));
  const modules = dir.slice(0, dir.length - manifest.name.length);
  for (const [name, isOptional] of [...Object.keys(manifest.dependencies ?? {}).map((n) => [n, false]), ...Object.keys({ ...manifest.optionalDependencies, ...manifest.peerDependencies }).map((n) => [n, true])]) {
    if (name.startsWith('@types/')) continue;
    const link = join(modules, name);
    if (isOptional && !existsSync(link)) continue;
    if (existsSync(join(dir, 'node_modules', name))) continue;
    follow(link, join(app, relative(root, link)), `${name}, which ${manifest.name} needs`);
  }
}

/** Repeats a link of node_modules and collects what it leads to. */
function follow(link, target, what) {
  if (what.startsWith('@types/')) return;
  if (!existsSync(link)) throw new Error(`collect ${what}: not installed at ${relative(root, link)}`);
  const real = realpathSync(link);
  if (!existsSync(target)) {
    mkdirSync(dirname(target), { recursive: true });
    symlinkSync(readlinkSync(link), target);
  }
  if (real.startsWith(join(root, 'packages') + sep)) collectWorkspace(real);
  else collectExternal(real);
}

collectWorkspace(join(root, 'packages', 'cli'));
if (seenPackages.size < 10) throw new Error(`collect: only ${seenPackages.size} packages reached from the cli`);
copyTree(join(root, 'packages', 'ui', 'dist'), join(app, 'packages', 'ui', 'dist'));
cpSync(join(root, 'protos'), join(app, 'protos'), { recursive: true });
for (const file of ['package.json', 'LICENSE']) cpSync(join(root, file), join(app, file));
mkdirSync(join(out, 'bin'), { recursive: true });
for (const name of ['gauntlet', 'thanos']) {
  cpSync(join(import.meta.dirname, 'launcher.cjs'), join(out, 'bin', name));
  chmodSync(join(out, 'bin', name), 0o755);
}
mkdirSync(join(out, 'data'), { recursive: true });

let bytes = 0;
let files = 0;
(function measure(dir) {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    if (entry.isDirectory()) measure(join(dir, entry.name));
    else if (entry.isFile()) {
      bytes += statSync(join(dir, entry.name)).size;
      files++;
    }
  }
})(out);
process.stdout.write(`collect: ${seenPackages.size} packages of the workspace, ${seenExternal.size} from the registry, ${files} files, ${(bytes / 1e6).toFixed(1)} MB\n`);
