/** Every endpoint the querier knows: is it up, which series can it have, which time does it cover. */
import { Badge, Group, Stack, Table, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { listStores } from '../api/client.ts';
import { Notices } from '../components/notices.tsx';
import { formatMoment } from '../lib/url-state.ts';

/** Times at or past the largest date mean "no limit". */
const TIME_LIMIT_MS = 8.64e15;

function timeText(ms: number, unlimited: string): string {
  return Math.abs(ms) >= TIME_LIMIT_MS ? unlimited : `${formatMoment(ms)} UTC`;
}

export function StoresPage(): ReactNode {
  const stores = useQuery({ queryKey: ['stores'], queryFn: ({ signal }) => listStores(signal), refetchInterval: 5000 });
  const components = Object.entries(stores.data?.data ?? {});
  return (
    <Stack>
      <Title order={2}>Stores</Title>
      <Notices error={stores.error} />
      {stores.data && components.length === 0 ? <Text c="dimmed">The querier knows no endpoint. Give it one with --endpoint=host:port.</Text> : null}
      {components.map(([component, endpoints]) => (
        <section key={component} aria-label={component}>
          <Title order={4} mb="xs">{component}</Title>
          <Table.ScrollContainer minWidth={760}>
            <Table withTableBorder verticalSpacing="xs">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Endpoint</Table.Th>
                  <Table.Th>Status</Table.Th>
                  <Table.Th>Announced label sets</Table.Th>
                  <Table.Th>Min time</Table.Th>
                  <Table.Th>Max time</Table.Th>
                  <Table.Th>Last check</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {endpoints.map((endpoint) => (
                  <Table.Tr key={endpoint.name}>
                    <Table.Td className="series-name">{endpoint.name}</Table.Td>
                    <Table.Td>
                      <Badge color={endpoint.lastError === null ? 'green.9' : 'red.8'}>{endpoint.lastError === null ? 'Up' : 'Down'}</Badge>
                      {endpoint.lastError === null ? null : <Text size="sm" c="red.8">{endpoint.lastError}</Text>}
                    </Table.Td>
                    <Table.Td>
                      <Group gap={4}>
                        {endpoint.labelSets.map((set) => (
                          <Badge key={JSON.stringify(set)} variant="default" tt="none" className="series-name">
                            {Object.entries(set).map(([name, value]) => `${name}="${value}"`).join(' ')}
                          </Badge>
                        ))}
                      </Group>
                    </Table.Td>
                    <Table.Td>{timeText(endpoint.minTime, '—')}</Table.Td>
                    <Table.Td>{timeText(endpoint.maxTime, 'now')}</Table.Td>
                    <Table.Td>{endpoint.lastCheck.startsWith('0001') ? '—' : endpoint.lastCheck.slice(0, 19).replace('T', ' ')}</Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        </section>
      ))}
    </Stack>
  );
}
