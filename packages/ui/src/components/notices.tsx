/** Errors, warnings and infos of an answer, above its result. */
import { Alert, Stack } from '@mantine/core';
import type { ReactNode } from 'react';
import { ApiError } from '../api/client.ts';

export function Notices({ error, warnings = [], infos = [] }: { readonly error?: Error | null; readonly warnings?: readonly string[]; readonly infos?: readonly string[] }): ReactNode {
  if (!error && warnings.length === 0 && infos.length === 0) return null;
  return (
    <Stack gap="xs" my="sm">
      {error ? <Alert color="red" variant="light" title={error instanceof ApiError ? `Error (${error.errorType})` : 'Error'}>{error.message}</Alert> : null}
      {warnings.map((text) => <Alert key={text} color="orange" variant="light" title="Warning">{text}</Alert>)}
      {infos.map((text) => <Alert key={text} color="blue" variant="light" title="Info">{text}</Alert>)}
    </Stack>
  );
}
