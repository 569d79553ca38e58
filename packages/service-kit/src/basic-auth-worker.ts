/** Worker module of basic-auth.ts: compares passwords with bcrypt hashes. */
import { compareSync } from 'bcryptjs';
import { serveTasks } from './worker-task.ts';

serveTasks((request) => {
  const { password, hash } = request as { readonly password: string; readonly hash: string };
  return { value: compareSync(password, hash) };
});
