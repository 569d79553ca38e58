/** A group of tests that needs programs this machine may not have: skipped with the reason in its name, or failed where peers are required. */
import { describe } from '@jest/globals';
import { type Peer, missingPeers } from './peers.ts';

/** `describe`, if all peers are here. @throws with GAUNTLET_REQUIRE_PEERS=1 and one missing */
export function describeWithPeers(name: string, peers: readonly Peer[], body: () => void): void {
  const missing = missingPeers(peers);
  if (missing.length === 0) describe(name, body);
  else describe.skip(`${name} (skipped: no ${missing.join(', ')} on PATH; scripts/install-peers.sh)`, body);
}
