/**
 * Sets of code points: the classes of Perl, POSIX and Unicode, case folding, and the algebra that character classes need.
 *
 * The Unicode tables are those of the JavaScript engine, read out of its own regular expressions once per class and kept; they follow the
 * engine's Unicode version, as Go's follow Go's.
 */
import { CODE_POINT_MAX, type Ranges } from './syntax-tree.ts';

const DIGIT: Ranges = [0x30, 0x39];
const SPACE: Ranges = [0x09, 0x0a, 0x0c, 0x0d, 0x20, 0x20];
/** ASCII word characters: `\w`, and what `\b` looks at. */
export const WORD: Ranges = [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a];

/** `\d \s \w`; the negated ones are made by the caller. */
export const PERL_CLASSES: ReadonlyMap<string, Ranges> = new Map([
  ['d', DIGIT],
  ['s', SPACE],
  ['w', WORD],
]);

/** `[:name:]`. */
export const POSIX_CLASSES: ReadonlyMap<string, Ranges> = new Map<string, Ranges>([
  ['alnum', [0x30, 0x39, 0x41, 0x5a, 0x61, 0x7a]],
  ['alpha', [0x41, 0x5a, 0x61, 0x7a]],
  ['ascii', [0x00, 0x7f]],
  ['blank', [0x09, 0x09, 0x20, 0x20]],
  ['cntrl', [0x00, 0x1f, 0x7f, 0x7f]],
  ['digit', DIGIT],
  ['graph', [0x21, 0x7e]],
  ['lower', [0x61, 0x7a]],
  ['print', [0x20, 0x7e]],
  ['punct', [0x21, 0x2f, 0x3a, 0x40, 0x5b, 0x60, 0x7b, 0x7e]],
  ['space', [0x09, 0x0d, 0x20, 0x20]],
  ['upper', [0x41, 0x5a]],
  ['word', WORD],
  ['xdigit', [0x30, 0x39, 0x41, 0x46, 0x61, 0x66]],
]);

/** Sorts, merges overlapping and touching ranges. */
export function cleanRanges(ranges: Ranges): Ranges {
  let clean = true;
  for (let i = 2; i < ranges.length && clean; i += 2) clean = ranges[i]! > ranges[i - 1]! + 1;
  if (clean) return ranges;
  const pairs: [number, number][] = [];
  for (let i = 0; i < ranges.length; i += 2) pairs.push([ranges[i]!, ranges[i + 1]!]);
  pairs.sort((a, b) => a[0] - b[0]);
  const out: number[] = [];
  for (const [lo, hi] of pairs) {
    const last = out.length - 1;
    if (last > 0 && lo <= out[last]! + 1) out[last] = Math.max(out[last]!, hi);
    else out.push(lo, hi);
  }
  return out;
}

/** All code points not in clean ranges. */
export function negateRanges(ranges: Ranges): Ranges {
  const out: number[] = [];
  let next = 0;
  for (let i = 0; i < ranges.length; i += 2) {
    if (next < ranges[i]!) out.push(next, ranges[i]! - 1);
    next = ranges[i + 1]! + 1;
  }
  if (next <= CODE_POINT_MAX) out.push(next, CODE_POINT_MAX);
  return out;
}

/** Whether clean ranges hold a code point. */
export function rangesHave(ranges: Ranges, codePoint: number): boolean {
  let low = 0;
  let high = ranges.length >> 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (codePoint > ranges[2 * middle + 1]!) low = middle + 1;
    else high = middle;
  }
  return 2 * low < ranges.length && ranges[2 * low]! <= codePoint;
}

/** The ranges with every code point's case variants added (`k` brings `K` and the Kelvin sign). */
export function foldRanges(ranges: Ranges): Ranges {
  const out = [...ranges];
  for (const [codePoint, variants] of foldOrbits()) {
    if (!rangesHave(ranges, codePoint)) continue;
    for (const variant of variants) out.push(variant, variant);
  }
  return cleanRanges(out);
}

/** The case variants of one code point, itself included. */
export function foldCodePoint(codePoint: number): Ranges {
  const orbit = foldOrbits().get(codePoint);
  return orbit === undefined ? [codePoint, codePoint] : cleanRanges(orbit.flatMap((variant) => [variant, variant]));
}

let orbitsMemo: ReadonlyMap<number, readonly number[]> | undefined;

/**
 * Code points that are equal but for case (Unicode simple folding), each with all of its group. Found through upper and lower case, kept where
 * the engine's own `iu` matching agrees: that drops the Turkish dotless i, which has an upper case but folds to itself.
 */
function foldOrbits(): ReadonlyMap<number, readonly number[]> {
  if (orbitsMemo !== undefined) return orbitsMemo;
  const groups = new Map<number, number[]>();
  for (const codePoint of membersOf(/\p{Changes_When_Casemapped}/gu)) {
    const text = String.fromCodePoint(codePoint);
    for (const other of [text.toLowerCase(), text.toUpperCase()]) {
      const otherPoint = other.codePointAt(0)!;
      if (other === text || String.fromCodePoint(otherPoint) !== other) continue;
      if (!new RegExp(`^\\u{${otherPoint.toString(16)}}$`, 'iu').test(text)) continue;
      const merged = [...new Set([...(groups.get(codePoint) ?? [codePoint]), ...(groups.get(otherPoint) ?? [otherPoint])])];
      for (const member of merged) groups.set(member, merged);
    }
  }
  orbitsMemo = groups;
  return groups;
}

const unicodeMemo = new Map<string, Ranges | undefined>();

/**
 * Ranges of a Unicode class by name: `L`, `Lu`, `Letter`, `Greek`, `Any` …; undefined if there is none. Spelling as Go takes it: case, spaces,
 * hyphens and underscores do not matter.
 */
export function unicodeClass(name: string): Ranges | undefined {
  const canonical = name.replaceAll(/[ _-]/g, '').toLowerCase();
  if (!unicodeMemo.has(canonical)) unicodeMemo.set(canonical, readUnicodeClass(canonical));
  return unicodeMemo.get(canonical);
}

function readUnicodeClass(canonical: string): Ranges | undefined {
  if (canonical === 'any') return [0, CODE_POINT_MAX];
  if (canonical === 'ascii') return [0, 0x7f];
  const property = propertyNames().get(canonical);
  return property === undefined ? undefined : rangesOf(new RegExp(`\\p{${property}}`, 'gu'));
}

// General categories by their short and long names, then scripts; names are Unicode's.
const CATEGORIES =
  'C=Other Cc=Control|cntrl Cf=Format Cn=Unassigned Co=Private_Use Cs=Surrogate L=Letter LC=Cased_Letter Ll=Lowercase_Letter Lm=Modifier_Letter Lo=Other_Letter Lt=Titlecase_Letter Lu=Uppercase_Letter M=Mark|Combining_Mark Mc=Spacing_Mark Me=Enclosing_Mark Mn=Nonspacing_Mark N=Number Nd=Decimal_Number|digit Nl=Letter_Number No=Other_Number P=Punctuation|punct Pc=Connector_Punctuation Pd=Dash_Punctuation Pe=Close_Punctuation Pf=Final_Punctuation Pi=Initial_Punctuation Po=Other_Punctuation Ps=Open_Punctuation S=Symbol Sc=Currency_Symbol Sk=Modifier_Symbol Sm=Math_Symbol So=Other_Symbol Z=Separator Zl=Line_Separator Zp=Paragraph_Separator Zs=Space_Separator';
const SCRIPTS =
  'Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali Bhaiksuki Bopomofo Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee Chorasmian Common Coptic Cuneiform Cypriot Cypro_Minoan Cyrillic Deseret Devanagari Dives_Akuru Dogra Duployan Egyptian_Hieroglyphs Elbasan Elymaic Ethiopic Georgian Glagolitic Gothic Grantha Greek Gujarati Gunjala_Gondi Gurmukhi Han Hangul Hanifi_Rohingya Hanunoo Hatran Hebrew Hiragana Imperial_Aramaic Inherited Inscriptional_Pahlavi Inscriptional_Parthian Javanese Kaithi Kannada Katakana Kawi Kayah_Li Kharoshthi Khitan_Small_Script Khmer Khojki Khudawadi Lao Latin Lepcha Limbu Linear_A Linear_B Lisu Lycian Lydian Mahajani Makasar Malayalam Mandaic Manichaean Marchen Masaram_Gondi Medefaidrin Meetei_Mayek Mende_Kikakui Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani Myanmar Nabataean Nag_Mundari Nandinagari New_Tai_Lue Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Old_Hungarian Old_Italic Old_North_Arabian Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic Old_Uyghur Oriya Osage Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang Runic Samaritan Saurashtra Sharada Shavian Siddham SignWriting Sinhala Sogdian Sora_Sompeng Soyombo Sundanese Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri Tamil Tangsa Tangut Telugu Thaana Thai Tibetan Tifinagh Tirhuta Toto Ugaritic Vai Vithkuqi Wancho Warang_Citi Yezidi Yi Zanabazar_Square';

let namesMemo: ReadonlyMap<string, string> | undefined;

/** Canonical name → property expression for the engine. */
function propertyNames(): ReadonlyMap<string, string> {
  if (namesMemo !== undefined) return namesMemo;
  const names = new Map<string, string>([['assigned', 'Assigned']]);
  const canonical = (name: string): string => name.replaceAll('_', '').toLowerCase();
  for (const script of SCRIPTS.split(' ')) names.set(canonical(script), `Script=${script}`);
  for (const category of CATEGORIES.split(' ')) {
    const [short, long] = category.split('=') as [string, string];
    for (const name of [short, ...long.split('|')]) names.set(canonical(name), `gc=${short}`);
  }
  namesMemo = names;
  return names;
}

/** Every code point that a one-character global pattern matches. */
function* membersOf(pattern: RegExp): Generator<number> {
  const ranges = rangesOf(pattern);
  for (let i = 0; i < ranges.length; i += 2) for (let c = ranges[i]!; c <= ranges[i + 1]!; c++) yield c;
}

function rangesOf(pattern: RegExp): Ranges {
  const single = new RegExp(pattern.source, 'u');
  const runs = new RegExp(`${pattern.source}+`, 'gu');
  const out: number[] = [];
  const BLOCK = 0x4000;
  for (let base = 0; base <= CODE_POINT_MAX; base += BLOCK) {
    // Joined high and low surrogates would read as one code point; they are tested one by one below.
    if (base + BLOCK > 0xd800 && base < 0xe000) {
      for (let c = base; c < base + BLOCK; c++) {
        if (single.test(String.fromCodePoint(c))) out.push(c, c);
      }
      continue;
    }
    let block = '';
    for (let c = base; c < base + BLOCK; c++) block += String.fromCodePoint(c);
    const wide = base >= 0x10000 ? 2 : 1;
    for (const run of block.matchAll(runs)) out.push(base + run.index / wide, base + (run.index + run[0].length) / wide - 1);
  }
  return cleanRanges(out);
}
