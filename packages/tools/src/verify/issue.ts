/** What an issue is that `tools bucket verify` looks for, and what it looks with. */
import type { Bucket } from '@gauntlet/objstore';
import type { Logger } from '@gauntlet/service-kit';
import type { BlockFinder } from '../bucket-blocks.ts';
import type { ToolDeps } from '../tool.ts';

/** What a verification works on. */
export interface VerifyContext extends Pick<ToolDeps, 'clock' | 'random' | 'signal' | 'tmpDir'> {
  readonly bucket: Bucket;
  /** Where blocks go before they are deleted; there for every repair. */
  readonly backup: Bucket | undefined;
  readonly finder: BlockFinder;
  readonly log: Logger;
  /** Only these blocks; undefined for all. */
  readonly ids: ReadonlySet<string> | undefined;
  readonly isRepair: boolean;
  /** 0: blocks that were replaced are deleted at once, else marked. */
  readonly deleteDelayMs: number;
}

/** Something that can be wrong with a bucket. */
export interface Issue {
  /** Name, as in `--issues`. */
  readonly id: string;
  /** What it means, in one clause. */
  readonly summary: string;
  readonly canRepair: boolean;
  /** Whether it looks at blocks one by one, so that `--id` makes sense. */
  readonly isPerBlock: boolean;
  /**
   * Looks, logs what it finds, and repairs it where it is to and can.
   * @returns how often the issue was found
   */
  verify(context: VerifyContext): Promise<number>;
}
