/**
 * The structure rules of docs/ARCHITECTURE.md as a check over the real imports:
 *
 *   layers     a package imports only packages of a smaller layer, and declares each of them
 *   seams      no deep imports across packages, no default exports, index.ts holds no logic
 *   cycles     no value-import cycles between files
 *   dead       no file that nothing reaches, no declared dependency that nothing imports
 *   browser    packages of layers 0–2 import nothing from Node
 *   projects   tsconfig references are the workspace dependencies
 *
 * Fails when it sees no modules: a scanner that reads nothing would pass everything.
 */
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const IMPORT = /(?:^|[;\n])\s*(import|export)\s+(type\s+)?((?:[\w$*{][^;'"]*?)\s+from\s+)?(['"])([^'"\n]+)\4/g;
const DYNAMIC = /(?:\bimport|\brequire)\(\s*(['"])([^'"\n]+)\1\s*\)/g;
const URL_FILE = /new URL\(\s*(['"])(\.{1,2}\/[^'"\n]+)\1\s*,\s*import\.meta\.url/g;
/** A worker entry handed to the worker pool by its built name. */
const TEST_FILE = /\.(test|bench)\.ts$/;

/** Blanks comments (keeping offsets), so that an example in a docstring is no import. */
function stripComments(text) {
  return text.replace(/\/\*[\s\S]*?\*\/|(^|[^:'"`\\])\/\/[^\n]*/g, (all, before) => (before ?? '') + ' '.repeat(all.length - (before ?? '').length));
}

function importsOf(text) {
  const found = [];
  const code = stripComments(text);
  for (const match of code.matchAll(IMPORT)) {
    const clause = match[3] ?? '';
    const typeOnly = match[2] !== undefined || /^\{(\s*type\s+[\w$]+(\s+as\s+[\w$]+)?\s*,?)+\s*\}\s+from/.test(clause);
    found.push({ specifier: match[5], typeOnly });
  }
  for (const match of code.matchAll(DYNAMIC)) found.push({ specifier: match[2], typeOnly: false });
  for (const match of code.matchAll(URL_FILE)) found.push({ specifier: match[2], typeOnly: false, byUrl: true });
  return found;
}

function* walk(dir) {
  for (const name of readdirSync(dir).sort()) {
    if (name === 'node_modules' || name === 'dist') continue;
    const path = join(dir, name);
    if (statSync(path).isDirectory()) yield* walk(path);
    else if (/\.tsx?$/.test(name) && !name.endsWith('.d.ts')) yield path;
  }
}

/**
 * Checks a checkout.
 * @param {string} root
 * @returns {{problems: string[], modules: number, packages: number}}
 */
export function tidy(root) {
  const problems = [];
  const packages = new Map();
  for (const dir of readdirSync(join(root, 'packages')).sort()) {
    const manifestPath = join(root, 'packages', dir, 'package.json');
    if (!existsSync(manifestPath)) continue;
    const manifest = JSON.parse(readFileSync(manifestPath, 'utf8'));
    packages.set(manifest.name, { dir, manifest, layer: manifest.gauntlet?.layer, used: new Set() });
    if (manifest.name !== `@gauntlet/${dir}`) problems.push(`packages/${dir}: package is named ${manifest.name}, not after its folder`);
    if (manifest.gauntlet?.layer === undefined) problems.push(`packages/${dir}/package.json: no gauntlet.layer`);
  }

  let modules = 0;
  const graph = new Map();
  for (const pkg of packages.values()) {
    const src = join(root, 'packages', pkg.dir, 'src');
    if (!existsSync(src)) continue;
    const reached = new Set();
    const entries = [];
    const files = [...walk(src)];
    for (const file of files) {
      modules++;
      const where = relative(root, file);
      const text = readFileSync(file, 'utf8');
      const isTest = TEST_FILE.test(file) || /\/testing\//.test(file);
      const edges = [];
      graph.set(file, edges);
      if (/^\s*export\s+default\b/m.test(stripComments(text)) && pkg.layer !== 'ui') problems.push(`${where}: default export; use a named one`);
      for (const { specifier, typeOnly, byUrl } of importsOf(text)) {
        if (specifier.startsWith('.')) {
          let target = resolve(dirname(file), specifier.replace(/\?.*$/, ''));
          if (!existsSync(target)) target = [target.replace(/\.js$/, '.ts'), `${target}.ts`, `${target}.tsx`, join(target, 'index.ts')].find(existsSync) ?? target;
          if (!existsSync(target) && !byUrl) problems.push(`${where}: imports ${specifier}, which does not exist`);
          if (!target.startsWith(join(root, 'packages', pkg.dir)) && !byUrl) problems.push(`${where}: deep import ${specifier} leaves the package`);
          edges.push({ target, typeOnly: typeOnly || byUrl });
          continue;
        }
        const name = specifier.startsWith('@') ? specifier.split('/').slice(0, 2).join('/') : specifier.split('/')[0];
        pkg.used.add(name);
        if (name.startsWith('node:') || builtinModules.includes(name)) {
          if (typeof pkg.layer === 'number' && pkg.layer <= 2 && !isTest) problems.push(`${where}: layer ${pkg.layer} imports ${name}; layers 0–2 run in a browser`);
          continue;
        }
        if (packages.has(name)) {
          const other = packages.get(name);
          const sub = specifier.slice(name.length);
          if (!['', '/testing', '/types', '/worker', '/grpc-client'].includes(sub)) problems.push(`${where}: deep import ${specifier}; use what ${name} exports`);
          if (sub === '/testing' && !isTest && pkg.layer < 7) problems.push(`${where}: imports ${specifier} outside a test`);
          if (typeof pkg.layer === 'number' && other.layer >= pkg.layer && name !== pkg.manifest.name && !isTest) problems.push(`${where}: layer ${pkg.layer} imports ${name} of layer ${other.layer}`);
          if (name !== pkg.manifest.name && !pkg.manifest.dependencies?.[name] && !(isTest && pkg.manifest.devDependencies?.[name])) problems.push(`${where}: ${name} is not declared in packages/${pkg.dir}/package.json`);
        } else if (!isTest && !pkg.manifest.dependencies?.[name]) {
          problems.push(`${where}: ${name} is not declared in packages/${pkg.dir}/package.json`);
        }
      }
      if (isTest || ['index.ts', 'main.ts', 'main.tsx', 'types.ts', 'worker.ts', 'grpc-client.ts'].includes(relative(src, file)) || /(^|\/)[\w-]*worker\.ts$/.test(relative(src, file))) entries.push(file);
      if (basename(file) === 'index.ts' && dirname(file) === src) {
        const logic = stripComments(text).replace(/export\s+(type\s+)?(\{[^}]*\}|\*(\s+as\s+\w+)?)\s*(from\s*['"][^'"]+['"])?\s*;?/g, '').trim();
        if (logic !== '') problems.push(`${where}: an index only re-exports; found: ${logic.split('\n')[0]}`);
      }
    }
    const queue = [...entries];
    while (queue.length > 0) {
      const file = queue.pop();
      if (reached.has(file)) continue;
      reached.add(file);
      for (const { target } of graph.get(file) ?? []) queue.push(target);
    }
    for (const file of files) if (!reached.has(file)) problems.push(`${relative(root, file)}: nothing imports this file`);

    const declared = Object.keys(pkg.manifest.dependencies ?? {});
    for (const name of declared) {
      const typesOf = name.startsWith('@types/');
      if (!typesOf && !pkg.used.has(name) && pkg.layer !== 'ui') problems.push(`packages/${pkg.dir}/package.json: declares ${name}, which nothing imports`);
    }
    if (typeof pkg.layer === 'number' && pkg.layer <= 2) {
      for (const name of declared) if (!packages.has(name)) problems.push(`packages/${pkg.dir}/package.json: layer ${pkg.layer} depends on ${name}; layers 0–2 have no runtime dependencies`);
    }
    const tsconfigPath = join(root, 'packages', pkg.dir, 'tsconfig.json');
    if (existsSync(tsconfigPath) && pkg.layer !== 'ui') {
      const references = (JSON.parse(readFileSync(tsconfigPath, 'utf8')).references ?? []).map((reference) => basename(reference.path));
      const wanted = declared.filter((name) => packages.has(name)).map((name) => packages.get(name).dir);
      const differing = [...references.filter((name) => !wanted.includes(name)), ...wanted.filter((name) => !references.includes(name))];
      if (differing.length > 0) problems.push(`packages/${pkg.dir}/tsconfig.json: references and workspace dependencies differ in ${differing.join(", ")}`);
    }
  }

  const state = new Map();
  const visit = (file, path) => {
    if (state.get(file) === 'done' || !graph.has(file)) return;
    if (state.get(file) === 'open') {
      problems.push(`import cycle: ${[...path.slice(path.indexOf(file)), file].map((name) => relative(root, name)).join(' → ')}`);
      return;
    }
    state.set(file, 'open');
    for (const { target, typeOnly } of graph.get(file)) if (!typeOnly) visit(target, [...path, file]);
    state.set(file, 'done');
  };
  for (const file of graph.keys()) visit(file, []);

  if (modules === 0) problems.push('tidy saw no modules: it is looking in the wrong place');
  return { problems, modules, packages: packages.size };
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { problems, modules, packages } = tidy(join(import.meta.dirname, '..'));
  for (const problem of problems) console.error(problem);
  console.log(`tidy: ${modules} modules in ${packages} packages, ${problems.length} problems`);
  process.exit(problems.length === 0 ? 0 : 1);
}
