/** The page: `index.html` for every page address, its files below `/static`. Built by the `ui` package; without it the routes say so. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import express, { type Response } from 'express';
import type { HttpServer } from '@gauntlet/service-kit';

const PAGES = ['/graph', '/query', '/stores', '/status', '/alerts', '/rules', '/targets', '/flags', '/config', '/blocks', '/loaded', '/global', '/service-discovery', '/tsdb-status'];

/**
 * Adds the routes.
 * @param dir built page
 * @param externalPrefix path in front of redirects, as the browser sees it
 */
export function addUiRoutes(server: HttpServer, dir: string, prefix: string, externalPrefix: string): void {
  const { app } = server;
  const index = join(dir, 'index.html');
  // Looked at again each time: a rebuild under a running querier changes the names of the files the page asks for.
  const sendPage = (response: Response): void => {
    if (!existsSync(index)) response.status(404).type('text/plain').end('The page is not built here: run `npm run build`. The API is below /api/v1.\n');
    else response.setHeader('Cache-Control', 'no-cache').sendFile(index, { cacheControl: false, dotfiles: 'allow' });
  };
  app.get(prefix === '' ? '/' : [prefix, `${prefix}/`], (_request, response) => response.redirect(302, `${externalPrefix}/graph`));
  for (const path of PAGES) app.get(`${prefix}${path}`, server.instrument('ui'), (_request, response) => sendPage(response));
  // Names hold a content hash: what is cached stays right.
  app.use(`${prefix}/static`, express.static(join(dir, 'static'), { immutable: true, maxAge: '365d', index: false }));
  app.get([`${prefix}/favicon.svg`, `${prefix}/favicon.ico`], (_request, response) => {
    response.type('image/svg+xml').sendFile(join(dir, 'favicon.svg'), { dotfiles: 'allow' });
  });
}
