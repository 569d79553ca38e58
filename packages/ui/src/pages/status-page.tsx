/** Build, runtime and flags of the querier that serves the page. */
import { Stack, Table, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { status } from '../api/client.ts';
import { Notices } from '../components/notices.tsx';

function StatusTable({ title, name }: { readonly title: string; readonly name: 'buildinfo' | 'runtimeinfo' | 'flags' }): ReactNode {
  const answer = useQuery({ queryKey: ['status', name], queryFn: ({ signal }) => status(name, signal) });
  return (
    <section aria-label={title}>
      <Title order={4} mb="xs">{title}</Title>
      <Notices error={answer.error} />
      <Table withTableBorder variant="vertical" layout="fixed">
        <Table.Tbody>
          {Object.entries(answer.data?.data ?? {}).map(([key, value]) => (
            <Table.Tr key={key}>
              <Table.Th w={320}>{key}</Table.Th>
              <Table.Td className="series-name">{typeof value === 'string' ? value : JSON.stringify(value)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </section>
  );
}

export function StatusPage(): ReactNode {
  return (
    <Stack>
      <Title order={2}>Status</Title>
      <StatusTable title="Build" name="buildinfo" />
      <StatusTable title="Runtime" name="runtimeinfo" />
      <StatusTable title="Command-line flags" name="flags" />
    </Stack>
  );
}
