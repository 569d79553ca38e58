/** Numbers and times as Go prints them. */

/** `2026-04-13T04:00:01Z`: RFC 3339 in UTC, whole seconds, milliseconds cut off towards zero. */
export function formatSeconds(ms: number): string {
  const date = new Date(Math.trunc(ms / 1000) * 1000);
  if (Number.isNaN(date.getTime())) return `${ms}ms`;
  // Go writes years without sign and with at least four digits; ISO puts a sign and six digits outside of 0 to 9999.
  return date.toISOString().replace(/\.\d+Z$/, 'Z').replace(/^([+-])(\d{6})/, (_, sign: string, year: string) => `${sign === '-' ? '-' : ''}${String(Number(year)).padStart(4, '0')}`);
}

/** `136,147`: a whole number with its thousands apart. */
export function groupThousands(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** A time of meta.json (RFC 3339) as Go's %v prints a time: `2026-11-21 07:49:04.1 +0000 UTC`. */
export function formatGoTime(rfc3339: string): string {
  const parts = /^(\d+-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d+))?(?:(Z)|([+-]\d\d):?(\d\d))$/.exec(rfc3339);
  if (parts === null) return rfc3339;
  const fraction = (parts[3] ?? '').replace(/0+$/, '');
  const zone = parts[4] === 'Z' ? '+0000 UTC' : `${parts[5]}${parts[6]} ${parts[5]}${parts[6]}`;
  return `${parts[1]} ${parts[2]}${fraction === '' ? '' : `.${fraction}`} ${zone}`;
}
