/** The shell: header with navigation and theme switch, and one page per route. */
import { ActionIcon, AppShell, Group, Text, useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import type { ReactNode } from 'react';
import { Link, Redirect, Route, Switch, useLocation } from 'wouter';
import { AlertsPage } from './pages/alerts-page.tsx';
import { QueryPage } from './pages/query-page.tsx';
import { RulesPage } from './pages/rules-page.tsx';
import { StatusPage } from './pages/status-page.tsx';
import { StoresPage } from './pages/stores-page.tsx';

function NavLink({ to, children }: { readonly to: string; readonly children: ReactNode }): ReactNode {
  const [location] = useLocation();
  const active = location === to;
  return (
    <Link
      to={to}
      aria-current={active ? 'page' : undefined}
      style={{ color: active ? '#fff' : '#ced4da', fontWeight: active ? 600 : 400, textDecoration: 'none', padding: '6px 10px', borderRadius: 4, background: active ? '#495057' : 'none' }}
    >
      {children}
    </Link>
  );
}

function ThemeSwitch(): ReactNode {
  const { setColorScheme } = useMantineColorScheme();
  const current = useComputedColorScheme('light');
  return (
    <ActionIcon variant="subtle" color="gray.3" size="lg" aria-label={current === 'dark' ? 'Use light theme' : 'Use dark theme'} onClick={() => setColorScheme(current === 'dark' ? 'light' : 'dark')}>
      {current === 'dark' ? '☀' : '☾'}
    </ActionIcon>
  );
}

export function App(): ReactNode {
  return (
    <AppShell header={{ height: 52 }} padding="md">
      <AppShell.Header bg="#343a40" withBorder={false}>
        <Group h="100%" px="md" gap="lg" wrap="nowrap">
          <Group gap={8} wrap="nowrap">
            <img src="./favicon.svg" width={26} height={26} alt="" />
            <Text c="#fff" fw={600} visibleFrom="xs">Gauntlet</Text>
          </Group>
          <Group component="nav" gap={4} wrap="nowrap" style={{ flex: 1, minWidth: 0, overflowX: 'auto' }}>
            <NavLink to="/graph">Query</NavLink>
            <NavLink to="/alerts">Alerts</NavLink>
            <NavLink to="/rules">Rules</NavLink>
            <NavLink to="/stores">Stores</NavLink>
            <NavLink to="/status">Status</NavLink>
          </Group>
          <ThemeSwitch />
        </Group>
      </AppShell.Header>
      <AppShell.Main>
        <Switch>
          <Route path="/graph" component={QueryPage} />
          <Route path="/alerts" component={AlertsPage} />
          <Route path="/rules" component={RulesPage} />
          <Route path="/stores" component={StoresPage} />
          <Route path="/status" component={StatusPage} />
          <Route>
            <Redirect to="/graph" replace />
          </Route>
        </Switch>
      </AppShell.Main>
    </AppShell>
  );
}
