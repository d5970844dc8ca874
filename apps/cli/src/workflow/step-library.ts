import { loadPlugins } from '#libs/plugin-sdk/src/loading/load-plugins.js';
import { Plugins } from '#libs/plugin-sdk/src/loading/plugins.js';
import { builtInProviders } from '#libs/providers/src/built-in.js';
import { builtInSteps } from '#libs/steps/src/built-in.js';
import { StepLibrary } from '#libs/workflows/src/trial/run-tests.js';

/** The steps that a server would have: the built-in ones and those of plug-ins. */
export async function libraryOf(modules: string): Promise<StepLibrary> {
  const names = modules.split(',').map((one) => one.trim());
  const plugins = new Plugins([
    builtInProviders,
    { name: 'millrace', sdk: 1, steps: builtInSteps },
    ...(await loadPlugins(
      names.filter((name) => name !== ''),
      process.cwd(),
    )),
  ]);
  return new StepLibrary([...plugins.steps.values()], plugins.sources);
}
