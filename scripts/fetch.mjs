/** Downloads the packages of the lockfile, and links none: a step of its own for image builds, which keep it until the lockfile changes. */
import { fetchPackages } from './bootstrap.mjs';

await fetchPackages();
