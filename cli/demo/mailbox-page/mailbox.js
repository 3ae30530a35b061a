// Mails are hostile text: everything is set as text, nothing as markup.
const pollAfterMs = 1000;
const list = document.getElementById("mails");
const state = document.getElementById("state");
let shownCount = -1;

async function refresh() {
  try {
    const response = await fetch("/mails.json");
    show(await response.json());
  } catch {
    state.textContent = "The demonstration has ended.";
  }
  setTimeout(refresh, pollAfterMs);
}

function show(mails) {
  if (mails.length === shownCount) return;
  shownCount = mails.length;
  state.textContent = mails.length === 0 ? "No mail yet: the first comes with the first tampering." : "";
  list.replaceChildren(...mails.map(mailElement));
}

function mailElement({ subject, from, to, date, text, link }) {
  const mail = element("article", "");
  mail.append(element("h2", subject), element("p", `${new Date(date).toLocaleTimeString()}, ${from} to ${to}`));
  mail.append(element("pre", text));
  if (link !== null) {
    const anchor = element("a", "Open the change in paintdry");
    anchor.href = link;
    mail.append(anchor);
  }
  return mail;
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

void refresh();
