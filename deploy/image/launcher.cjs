#!/nodejs/bin/node
'use strict';
// /bin/gauntlet and /bin/thanos of the image. The first line is where distroless images have Node.
void import('/app/packages/cli/dist/main.js');
