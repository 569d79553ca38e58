/** Builds the page with relative asset paths, so that it works below any path prefix. */
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  base: './',
  plugins: [react()],
  build: {
    outDir: 'dist',
    assetsDir: 'static',
    target: 'es2022',
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { '/api': process.env['GAUNTLET_URL'] ?? 'http://127.0.0.1:10902' } },
});
