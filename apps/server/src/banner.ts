import type { Config } from './config.js';

/** What a person sees when the server is there. */
export function bannerOf(
  { settings: { publicUrl }, roles, adminToken }: Config,
  { places, firstToken }: { readonly places: string; readonly firstToken: string | undefined },
): string {
  const lines = [`Millrace is running at ${publicUrl}`, `  API       ${publicUrl}/docs`, `  data in   ${places}`];
  if (roles.size === 1) lines.push(`  role      ${[...roles].join()}`);
  if (firstToken !== undefined) lines.push('', 'The first admin token (shown only once):', '', `  ${firstToken}`);
  if (roles.has('api')) {
    // A configured token is the operator's secret: it is not repeated.
    const token = firstToken ?? (adminToken === undefined ? '<token>' : '$MILLRACE_ADMIN_TOKEN');
    lines.push('', 'Try:', '', `  curl -H "Authorization: Bearer ${token}" ${publicUrl}/api/v1/events`);
  }
  return `\n${lines.join('\n')}\n`;
}
