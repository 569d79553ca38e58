/** Lines over time. Drag selects a range; the tooltip names the nearest series; a click in the legend shows that series alone. */
import { Box, Text, useComputedColorScheme } from '@mantine/core';
import { type ReactNode, useEffect, useMemo, useRef, useState } from 'react';
import uPlot from 'uplot';
import { type MatrixItem, formatAxis, graphColumns, seriesColor, seriesName, stackColumns } from '../lib/series.ts';

export interface GraphProps {
  readonly series: readonly MatrixItem[];
  readonly startS: number;
  readonly endS: number;
  readonly stepS: number;
  readonly stacked: boolean;
  readonly onSelectRange: (startMs: number, endMs: number) => void;
}

const HEIGHT = 440;
/** More lines than this make a page slow and a picture unreadable; the rest is said in words. */
const LINES_MAX = 500;

function tooltipPlugin(names: readonly string[], raw: readonly (readonly (number | null)[])[]): uPlot.Plugin {
  let box: HTMLDivElement;
  return {
    hooks: {
      init: (plot) => {
        box = document.createElement('div');
        box.className = 'graph-tooltip';
        box.hidden = true;
        plot.over.append(box);
      },
      setCursor: (plot) => {
        const { idx, left, top } = plot.cursor;
        if (idx === null || idx === undefined || left === undefined || top === undefined || left < 0) {
          box.hidden = true;
          return;
        }
        let nearest = -1;
        let distance = Infinity;
        for (let index = 1; index < plot.series.length; index++) {
          const value = plot.data[index]?.[idx];
          if (value === null || value === undefined || plot.series[index]?.show === false) continue;
          const away = Math.abs(plot.valToPos(value, 'y') - top);
          if (away < distance) [nearest, distance] = [index, away];
        }
        box.hidden = nearest < 0;
        if (nearest < 0) return;
        const time = new Date(plot.data[0][idx]! * 1000).toISOString().slice(0, 19).replace('T', ' ');
        box.textContent = `${time} UTC — ${raw[nearest - 1]![idx]} — ${names[nearest - 1]}`;
        const right = left > plot.over.clientWidth / 2;
        box.style.left = right ? '' : `${left + 14}px`;
        box.style.right = right ? `${plot.over.clientWidth - left + 14}px` : '';
        box.style.top = `${Math.min(top, HEIGHT - 120)}px`;
      },
    },
  };
}

export function Graph({ series, startS, endS, stepS, stacked, onSelectRange }: GraphProps): ReactNode {
  const host = useRef<HTMLDivElement>(null);
  const [only, setOnly] = useState<number | null>(null);
  const dark = useComputedColorScheme('light') === 'dark';
  const shown = useMemo(() => series.slice(0, LINES_MAX), [series]);
  const names = useMemo(() => shown.map((item) => seriesName(item.metric)), [shown]);
  const select = useRef(onSelectRange);
  select.current = onSelectRange;

  useEffect(() => setOnly(null), [series]);

  useEffect(() => {
    const element = host.current!;
    const [x, ...raw] = graphColumns(shown, startS, endS, stepS);
    const columns = stacked ? stackColumns(raw) : raw;
    const ink = dark ? '#c1c2c5' : '#343a40';
    const grid = { stroke: dark ? '#373a40' : '#e9ecef', width: 1 };
    const plot = new uPlot(
      {
        width: Math.max(200, element.clientWidth),
        height: HEIGHT,
        legend: { show: false },
        cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 6 } },
        scales: { x: { time: true, range: [startS, endS] } },
        // Days first, 24 hours: as every other time on the page.
        fmtDate: (template) => uPlot.fmtDate(template.replace('{h}{aa}', '{HH}:00').replace('{h}:', '{HH}:').replace('{aa}', '').replace('{M}/{D}/{YY}', '{YYYY}-{MM}-{DD}').replace('{M}/{D}', '{MM}-{DD}')),
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
        axes: [
          { stroke: ink, grid, ticks: grid },
          { stroke: ink, grid, ticks: grid, size: 64, values: (_plot, values) => values.map(formatAxis) },
        ],
        series: [
          {},
          ...shown.map((_item, index) => ({
            label: names[index]!,
            stroke: seriesColor(index),
            width: 1.5,
            show: only === null || only === index,
            spanGaps: false,
            ...(stacked ? { fill: seriesColor(index).replace(')', ' / 0.25)') } : {}),
          })),
        ],
        plugins: [tooltipPlugin(names, raw)],
        hooks: {
          setSelect: [
            (chart) => {
              if (chart.select.width < 5) return;
              const from = chart.posToVal(chart.select.left, 'x');
              const to = chart.posToVal(chart.select.left + chart.select.width, 'x');
              chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              select.current(from * 1000, to * 1000);
            },
          ],
        },
      },
      [x, ...columns],
      element,
    );
    const resize = new ResizeObserver(() => plot.setSize({ width: Math.max(200, element.clientWidth), height: HEIGHT }));
    resize.observe(element);
    return () => {
      resize.disconnect();
      plot.destroy();
    };
  }, [shown, names, startS, endS, stepS, stacked, only, dark]);

  return (
    <Box>
      <div ref={host} className="graph" role="img" aria-label={`Graph of ${series.length} series`} />
      {series.length > LINES_MAX ? <Text size="sm" c="dimmed">The first {LINES_MAX} of {series.length} series are drawn.</Text> : null}
      <Box mt="xs" mah={320} style={{ overflowY: 'auto' }}>
        {names.map((name, index) => (
          <button key={name} type="button" className="legend-row" data-off={only !== null && only !== index} onClick={() => setOnly(only === index ? null : index)}>
            <span className="legend-swatch" style={{ background: seriesColor(index) }} />
            <span>{name}</span>
          </button>
        ))}
      </Box>
    </Box>
  );
}
