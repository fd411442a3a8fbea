// Bayes' theorem in the browser: the same figures as bayesight.bayes, and words as bayesight.report.words.

export const RARE = 1e-4;
export const clamp = (p) => Math.min(Math.max(p, RARE), 1 - RARE);
export const logit = (p) => Math.log(p) - Math.log1p(-p);
export const expit = (x) => 1 / (1 + Math.exp(-x));

/** P(affected | result) from the prevalence and P(result | affected), P(result | not affected). */
export function after(prevalence, ifAffected, ifNot) {
  const affected = prevalence * ifAffected;
  return affected / (affected + (1 - prevalence) * ifNot);
}

/** Posterior and log-evidence from prior probabilities and log-likelihoods, both in the order of the classes. */
export function posterior(prior, logLikelihood) {
  const joint = prior.map((p, k) => Math.log(p) + logLikelihood[k]);
  const most = Math.max(...joint);
  const total = joint.reduce((sum, value) => sum + Math.exp(value - most), 0);
  const logEvidence = most + Math.log(total);
  return { p: joint.map((value) => Math.exp(value - logEvidence)), logEvidence };
}

/** The prior with class k at `share`; the others share the rest in proportion to what they had. */
export function restated(prior, k, share) {
  const rest = prior.reduce((sum, p, j) => (j === k ? sum : sum + p), 0);
  const others = prior.length - 1;
  return prior.map((p, j) => {
    if (j === k) return share;
    return rest > 0 ? ((1 - share) * p) / rest : (1 - share) / others;
  });
}

/** People of a thousand in the four cells of a test; first the affected are rounded, then each group divided. */
export function frequencies(prevalence, sensitivity, falseAlarm, people = 1000) {
  const nearest = (value) => Math.floor(value + 0.5 + 1e-9);
  const affected = nearest(people * prevalence);
  const found = nearest(affected * sensitivity);
  const alarms = nearest((people - affected) * falseAlarm);
  return { found, missed: affected - found, alarms, cleared: people - affected - alarms };
}

/** A fraction in per cent with as many decimals as it needs. */
export function rate(value) {
  const rest = Math.min(Math.abs(value), Math.abs(1 - value));
  const digits = rest === 0 ? 0 : Math.min(6, Math.max(0, 1 - Math.floor(Math.log10(rest)) - 2));
  const shown = (100 * value).toFixed(digits);
  return `${shown.includes(".") ? shown.replace(/0+$/, "").replace(/\.$/, "") : shown}\u202f%`;
}

/** A fraction in per cent with fixed decimals, never rounded onto 0 or 100. */
export function percent(value, digits = 2) {
  const step = 10 ** -(digits + 2);
  if (value > 0 && value < step / 2) return `<\u202f${(100 * step).toFixed(digits)}\u202f%`;
  if (value < 1 && value > 1 - step / 2) return `>\u202f${(100 * (1 - step)).toFixed(digits)}\u202f%`;
  return `${(100 * value).toFixed(digits)}\u202f%`;
}

/** A probability with four decimals, or two figures where it is smaller. */
export function figures(value) {
  return value >= 0.001 || value === 0 ? String(Number(value.toFixed(4))) : value.toPrecision(2);
}

/** Per cent for a field of numbers: three figures of whatever is smaller, the fraction or its rest. */
export function inPercent(share) {
  const rest = Math.min(share, 1 - share);
  const digits = Math.max(0, Math.min(2, 1 - Math.floor(Math.log10(100 * rest))));
  return String(Number((100 * share).toFixed(digits)));
}
