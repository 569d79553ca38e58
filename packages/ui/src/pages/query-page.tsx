/** Panels of queries; the address bar holds them all, so that a link is the page. */
import { Button } from '@mantine/core';
import { type ReactNode, useEffect, useState } from 'react';
import { QueryPanel } from '../components/query-panel.tsx';
import { DEFAULT_PANEL, type PanelState, decodePanels, encodePanels } from '../lib/url-state.ts';

interface KeyedPanel {
  readonly key: number;
  readonly panel: PanelState;
}

export function QueryPage(): ReactNode {
  const [panels, setPanels] = useState<readonly KeyedPanel[]>(() => decodePanels(location.search).map((panel, key) => ({ key, panel })));
  useEffect(() => {
    const search = encodePanels(panels.map(({ panel }) => panel));
    if (`?${search}` !== location.search) history.replaceState(null, '', `${location.pathname}?${search}`);
  }, [panels]);

  return (
    <>
      {panels.map(({ key, panel }) => (
        <QueryPanel
          key={key}
          panel={panel}
          onChange={(change) => setPanels((current) => current.map((item) => (item.key === key ? { key, panel: { ...item.panel, ...change } } : item)))}
          onRemove={panels.length > 1 ? () => setPanels((current) => current.filter((item) => item.key !== key)) : undefined}
        />
      ))}
      <Button variant="light" onClick={() => setPanels((current) => [...current, { key: Math.max(...current.map((item) => item.key)) + 1, panel: DEFAULT_PANEL }])}>Add panel</Button>
    </>
  );
}
