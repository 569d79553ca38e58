/** The answer of an instant query as rows: series and value, matrix samples with their times, scalars and strings as one row. */
import { Button, Table, Text } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import type { QueryData } from '../api/client.ts';
import { seriesName } from '../lib/series.ts';

const ROWS_MAX = 1000;

function rowsOf(data: QueryData): readonly { readonly name: string; readonly values: readonly string[] }[] {
  switch (data.resultType) {
    case 'vector':
      return data.result.map((item) => ({ name: seriesName(item.metric), values: [item.value[1]] }));
    case 'matrix':
      return data.result.map((item) => ({ name: seriesName(item.metric), values: item.values.map(([time, value]) => `${value} @${time}`) }));
    default:
      return [{ name: data.resultType, values: [data.result[1]] }];
  }
}

export function DataTable({ data }: { readonly data: QueryData }): ReactNode {
  const [all, setAll] = useState(false);
  const rows = rowsOf(data);
  if (rows.length === 0) return <Text c="dimmed" my="md">Empty result: no series has a sample here.</Text>;
  const shown = all ? rows : rows.slice(0, ROWS_MAX);
  return (
    <>
      <Table highlightOnHover verticalSpacing={4} mt="sm">
        <Table.Tbody>
          {shown.map((row) => (
            <Table.Tr key={row.name}>
              <Table.Td className="series-name">{row.name}</Table.Td>
              <Table.Td className="series-name" style={{ textAlign: 'right', whiteSpace: 'pre-line' }}>{row.values.join('\n')}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      {shown.length < rows.length ? (
        <Button variant="light" mt="sm" onClick={() => setAll(true)}>Show all {rows.length} rows</Button>
      ) : null}
    </>
  );
}
