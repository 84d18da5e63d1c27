import { registerHooks } from 'node:module';
import { z } from 'zod';

/**
 * Preloaded into a process (`node --import`) that is to run with one mistake in the source: the module
 * `file` is loaded with `find` replaced.
 */
const { file, find, replace } = z
  .object({ file: z.string(), find: z.string(), replace: z.string() })
  .parse(JSON.parse(process.env.LAGOPUS_MUTANT ?? ''));

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.endsWith(`/${file}`)) return loaded;
    const { source: text = '' } = loaded;
    const source = typeof text === 'string' ? text : new TextDecoder().decode(text);
    return { ...loaded, source: source.replace(find, () => replace) };
  },
});
