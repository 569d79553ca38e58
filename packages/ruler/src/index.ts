/** The seam of ruler. README.md has the reading order. */
export { RulerError, type RulerErrorCode } from './errors.ts';
export { type RulerConfig, type RulerFlags, rulerFlags } from './flags.ts';
export { main } from './main.ts';
export { checkRuleFile, formatRuleFileProblem, parseRuleFile, type RuleFile, type RuleFileCheck, type RuleFileProblem } from './rule-files.ts';
export { createRuleLoader, type RuleLoad, type RuleLoader } from './rule-loader.ts';
export { createRuler, type Ruler, type RulerDeps } from './ruler.ts';
