// Bayes' theorem in the browser: the same figures as bayesight.bayes, and words as bayesight.formatting.

export const RARE = 1e-6;
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

/**
 * Natural frequencies, as bayesight.bayes.frequencies rounds them: by largest remainders, of equal ones those who
 * are judged rightly first. Without `people`, of the smallest power of ten in which whoever may occur is one at least.
 */
export function frequencies(prevalence, sensitivity, falseAlarm, people = null) {
  const noise = 1e-9;
  const cells = [
    prevalence * sensitivity,
    prevalence * (1 - sensitivity),
    (1 - prevalence) * falseAlarm,
    (1 - prevalence) * (1 - falseAlarm),
  ];
  let total = people ?? 1000;
  if (people === null) {
    while (total < 1e15 && cells.some((cell) => total * cell > 0 && total * cell < 1 - noise)) total *= 10;
  }
  const whole = cells.map((cell) => Math.floor(total * cell + noise));
  const left = cells.map((cell, i) => Math.floor((total * cell - whole[i]) / noise + 0.5));
  const short = total - whole.reduce((sum, n) => sum + n, 0);
  for (const cell of [0, 3, 2, 1].sort((a, b) => left[b] - left[a]).slice(0, short)) whole[cell] += 1;
  const [tp, fn, fp, tn] = whole;
  return { people: total, tp, fn, fp, tn };
}

// Probabilities as text, as bayesight.formatting writes them.

const LEAST = 1e-9;

/** In per cent, with two figures at least of the fraction or of what it lacks to 1. */
export const percent = (value, decimals = 0) => written(value, 2, decimals, 2, "\u202f%");

/** As a number between 0 and 1, with four figures, and two of what it lacks to 1. */
export const decimal = (value, decimals = 0) => written(value, 0, decimals, 4, "");

function written(value, shift, decimals, figures, unit) {
  const scaled = 10 ** shift * value;
  const rest = Math.min(value, Math.abs(1 - value));
  if (rest > 0 && value < LEAST) {
    const [mantissa, exponent] = scaled.toExponential(figures - 1).split("e");
    return `${stripped(mantissa, 0)}e${Number(exponent)}${unit}`;
  }
  if (rest > 0 && rest < LEAST && value < 1) {
    return `>\u202f${(10 ** shift * (1 - LEAST)).toFixed(9 - shift)}${unit}`;
  }
  const places = Math.max(placesOf(value, figures), placesOf(rest, 2)) - shift;
  return stripped(scaled.toFixed(Math.max(decimals, places, 0)), decimals) + unit;
}

/** Decimals up to the last of so many figures. */
function placesOf(value, figures) {
  return value > 0 ? figures - 1 - Number(value.toExponential(figures - 1).split("e")[1]) : 0;
}

/** Without zeros at the end beyond so many decimals. */
function stripped(number, decimals) {
  const [whole, part = ""] = number.split(".");
  const kept = part.replace(/0+$/, "").padEnd(decimals, "0");
  return kept ? `${whole}.${kept}` : whole;
}

/** Per cent for a field; `fromField` reads it back. */
export const inPercent = (share) => percent(share).replace("\u202f%", "");

/** The fraction a field states in per cent, with or without its sign; NaN where it states none. */
export const fromField = (text) => (text.trim() ? Number(text.trim().replace(/\s*%$/, "").replace(",", ".")) / 100 : NaN);
