'use strict';

// One view at a time: the questions, and behind a cover, because they tell which images are generated, the other parts.
const page = JSON.parse(document.getElementById('data').textContent);
const at = (id) => document.getElementById(id);
const KEYS = {f: 'real', F: 'real', ArrowLeft: 'real', j: 'generated', J: 'generated', ArrowRight: 'generated'};
const BLANK = 120; // ms between images: two are not to be compared by flicker
const LARGE = 320; // pixels: what an image is enlarged to, by a whole factor

let session = null; // from Start until Start again
let peeked = false; // whether generated images were seen as such before the end
let finished = false;

// An image's number tells what it is, by a hash: no list in this file says it to a reader's eye.
function truth(id) {
  let hash = 0x811c9dc5;
  for (const letter of id) hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193) >>> 0;
  return (hash >>> 16) & 1 ? 'real' : 'generated';
}

function enlarge(image, size) {
  const side = Math.max(page.width, page.height);
  const room = Math.min(size, document.documentElement.clientWidth - 48);
  const factor = Math.max(1, Math.floor(room / side));
  image.width = page.width * factor;
  image.height = page.height * factor;
  image.style.height = side > room ? 'auto' : ''; // keeps its shape where the window narrows it
  image.style.imageRendering = side > room ? 'auto' : '';
}

function view(name) {
  for (const id of ['start', 'trial', 'result']) at(id).hidden = id !== name;
  document.body.classList.toggle('asking', name === 'trial');
}

function begin(event) {
  event.preventDefault();
  const random = crypto.getRandomValues(new Uint32Array(2));
  session = {
    format: page.format, version: page.version, page: page.page, about: page.about,
    reviewer: at('reviewer').value.trim(), session: Array.from(random, (x) => x.toString(16).padStart(8, '0')).join(''),
    started: new Date().toISOString(), finished: null, complete: false, peeked, answers: [],
  };
  finished = false;
  at('progress').max = page.trials.length;
  view('trial');
  show();
  at('trial').focus({preventScroll: true});
  at('trial').scrollIntoView({block: 'nearest'});
}

let ready = 0; // when the present image appeared; 0 while there is none to judge

async function show() {
  const number = session.answers.length;
  at('told').textContent = `Image ${number + 1} of ${page.trials.length}`;
  at('progress').value = number;
  const image = at('shown');
  image.alt = `Image ${number + 1}: real or generated?`;
  image.src = page.trials[number].image;
  enlarge(image, LARGE);
  await Promise.all([image.decode().catch(() => null), new Promise((done) => setTimeout(done, number ? BLANK : 0))]);
  image.style.visibility = 'visible';
  ready = performance.now();
}

function answer(said) {
  if (!ready || !session) return;
  const {id} = page.trials[session.answers.length];
  session.answers.push({id, answer: said, truth: truth(id), ms: Math.round(performance.now() - ready)});
  ready = 0;
  at('shown').style.visibility = 'hidden';
  if (session.answers.length < page.trials.length) show();
  else finish();
}

function wilson(right, count) {
  const z = 1.959964, share = right / count, below = 1 + z * z / count;
  const middle = (share + z * z / (2 * count)) / below;
  const reach = z * Math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / below;
  return [Math.max(0, middle - reach), Math.min(1, middle + reach)];
}

function finish() {
  ready = 0;
  finished = true;
  session.finished = new Date().toISOString();
  session.complete = session.answers.length === page.trials.length;
  session.peeked = session.peeked || peeked;
  const answers = session.answers, right = answers.filter((a) => a.answer === a.truth).length;
  const percent = (x) => `${Math.round(100 * x)}%`;
  if (answers.length) {
    const [low, high] = wilson(right, answers.length);
    at('accuracy').textContent = `${percent(right / answers.length)} right`;
    at('interval').textContent = `${right} of ${answers.length} images; 95% interval ${percent(low)} to ${percent(high)}`;
    at('verdict').textContent = low > 0.5 ? 'That is better than guessing, which gives 50%.'
      : high < 0.5 ? 'That is worse than guessing, which gives 50%: you took the generated images for the real ones.'
        : 'That can be guessing, which gives 50%: the interval includes it.';
  } else {
    at('accuracy').textContent = 'No answers';
    at('interval').textContent = at('verdict').textContent = '';
  }
  for (const was of ['real', 'generated']) {
    for (const said of ['real', 'generated']) {
      at(`${was}-${said}`).textContent = answers.filter((a) => a.truth === was && a.answer === said).length;
    }
  }
  at('save').disabled = !answers.length;
  at('saved').textContent = '';
  mistakes(answers);
  view('result');
  at('heading').focus();
}

function mistakes(answers) {
  const place = at('mistakes');
  place.replaceChildren();
  const images = new Map(page.trials.map((trial) => [trial.id, trial.image]));
  for (const [was, said] of [['generated', 'real'], ['real', 'generated']]) {
    const wrong = answers.filter((a) => a.truth === was && a.answer === said);
    if (!wrong.length) continue;
    const heading = document.createElement('h3'), list = document.createElement('ul');
    heading.textContent = `${was === 'real' ? 'Real' : 'Generated'} images that you took for ${said} (${wrong.length})`;
    list.className = 'thumbs';
    for (const {id} of wrong) {
      const item = document.createElement('li'), image = new Image();
      image.src = images.get(id);
      image.alt = `A ${was} image`;
      enlarge(image, 64);
      item.append(image);
      list.append(item);
    }
    place.append(heading, list);
  }
}

function save() {
  const link = document.createElement('a');
  const name = session.reviewer.replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '') || session.session.slice(0, 8);
  link.href = URL.createObjectURL(new Blob([JSON.stringify(session, null, 1)], {type: 'application/json'}));
  link.download = `review-${page.page.slice(0, 8)}-${name}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  at('saved').textContent = `Saved as ${link.download}`;
}

function open(part) {
  for (const section of document.querySelectorAll('main > section')) section.hidden = section.id !== part;
  for (const button of document.querySelectorAll('nav button')) {
    if (button.dataset.part === part) button.setAttribute('aria-current', 'page');
    else button.removeAttribute('aria-current');
  }
  if (part !== 'trials') uncover(part, finished);
}

function uncover(part, allowed) {
  const section = at(part);
  section.querySelector('.cover').hidden = allowed;
  section.querySelector('.content').hidden = !allowed;
}

at('begin').addEventListener('submit', begin);
at('real').addEventListener('click', () => answer('real'));
at('generated').addEventListener('click', () => answer('generated'));
at('stop').addEventListener('click', finish);
at('save').addEventListener('click', save);
at('again').addEventListener('click', () => { peeked = true; view('start'); at('reviewer').focus(); });
for (const button of document.querySelectorAll('nav button')) button.addEventListener('click', () => open(button.dataset.part));
for (const button of document.querySelectorAll('.cover button')) {
  button.addEventListener('click', () => {
    peeked = true;
    uncover(button.closest('section').id, true);
  });
}
document.addEventListener('keydown', (event) => {
  const busy = event.repeat || event.ctrlKey || event.metaKey || event.altKey || at('trials').hidden || at('trial').hidden;
  if (busy || !(event.key in KEYS) || event.target.closest('nav, input')) return;
  event.preventDefault();
  answer(KEYS[event.key]);
});
addEventListener('resize', () => { if (session && !finished) enlarge(at('shown'), LARGE); });
addEventListener('beforeunload', (event) => {
  if (session && session.answers.length && !at('saved').textContent) event.preventDefault();
});
