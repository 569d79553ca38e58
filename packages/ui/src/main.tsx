/** Entry of the page: providers, then the shell. */
import '@mantine/core/styles.css';
import 'uplot/dist/uPlot.min.css';
import './page.css';
import { MantineProvider, createTheme } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Router } from 'wouter';
import { App } from './app.tsx';
import { pathPrefix } from './api/client.ts';

const theme = createTheme({ primaryColor: 'blue', primaryShade: { light: 8, dark: 8 }, fontFamily: 'system-ui, sans-serif' });
const queryClient = new QueryClient({ defaultOptions: { queries: { retry: false, refetchOnWindowFocus: false } } });

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto">
      <QueryClientProvider client={queryClient}>
        <Router base={pathPrefix}>
          <App />
        </Router>
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
