/** A section of strongswan.conf or swanctl.conf; undefined values are left out. */
export type Settings = { readonly [key: string]: SettingsValue };
export type SettingsValue = string | number | boolean | undefined | Settings;

/** Writes strongSwan's configuration syntax. Sections and keys keep their order. */
export function formatSettings(settings: Settings, indent = ''): string {
  let text = '';
  for (const [key, value] of Object.entries(settings)) {
    if (value === undefined) continue;
    if (typeof value === 'object') {
      text += `${indent}${key} {\n${formatSettings(value, `${indent}  `)}${indent}}\n`;
    } else {
      text += `${indent}${key} = ${formatValue(value)}\n`;
    }
  }
  return text;
}

function formatValue(value: string | number | boolean): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'number') return String(value);
  return /[\s#{}="]/.test(value) ? `"${value.replaceAll('"', '\\"')}"` : value;
}

/** Puts `over` on top of `base`, section by section. */
export function mergeSettings(base: Settings, over: Settings): Settings {
  const merged: Record<string, SettingsValue> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    merged[key] =
      typeof value === 'object' && typeof below === 'object' ? mergeSettings(below, value) : value;
  }
  return merged;
}
