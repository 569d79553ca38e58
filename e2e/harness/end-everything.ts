/** Jest set-up of the end-to-end tests: whatever a test file leaves behind, failed or not, is ended with it. */
import { afterAll } from '@jest/globals';
import { endEverything } from './process.ts';

afterAll(() => endEverything());
