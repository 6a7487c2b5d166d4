// The list of senders: choosing one keeps it on show, "automatic" leaves it to the receiver.
let listed = "", elsewhere = "";
const called = (sender) => sender.name || `unnamed ${sender.id.slice(0, 6)}`;

function showSenders() {
  const senders = (stats.senders || []).slice(), chosen = stats.chosen || null, box = $("senders");
  const active = senders.find((sender) => sender.active);
  $("source").textContent = active && active.name ? active.name : "";
  document.title = active && active.name ? `${active.name} \u2013 semcast` : "semcast";
  box.hidden = senders.length < 2 && !chosen;
  if (box.hidden) { elsewhere = ""; return; }
  if (chosen && !senders.some((sender) => sender.id === chosen.id)) senders.push({ ...chosen, state: "gone", loss: null });
  const ids = JSON.stringify(senders.map((sender) => sender.id));
  if (ids !== listed) { listed = ids; list(senders); }
  for (const sender of senders) {
    const row = $("sender-" + sender.id);
    row.querySelector("b").firstChild.textContent = called(sender);
    row.querySelector("small").textContent = sender.active ? " on show" : "";
    const heard = row.querySelector(".heard");
    heard.dataset.state = heard.textContent = sender.state;
    row.querySelector(".share").textContent = sender.loss === null ? "" : `${(100 * sender.loss).toFixed(0)} % lost`;
  }
  box.querySelector(`input[value="${chosen ? chosen.id : ""}"]`).checked = true;
  tellElsewhere(active, chosen);
}

function tellElsewhere(active, chosen) {
  const other = chosen && active && active.id !== chosen.id;
  const text = other ? `${called(chosen)} is silent: ${called(active)} is shown until it is heard again.` : "";
  if (text === elsewhere) return;
  elsewhere = text;
  const notice = $("senders").querySelector(".notice");
  notice.textContent = text;
  notice.hidden = !text;
  if (text) toast(text);
}

function list(senders) {
  const row = (id, ...cells) => element("label", { id: "sender-" + (id || "auto"), class: id ? "" : "auto" },
    element("input", { type: "radio", name: "sender", value: id }), ...cells);
  const held = document.activeElement && document.activeElement.name === "sender" ? document.activeElement.value : null;
  const box = $("senders");
  box.replaceChildren(box.querySelector("legend"),
    row("", element("b", {}, "Automatic", element("small", {}, " the first that is heard, until it falls silent"))),
    ...senders.map((sender) => row(sender.id, element("b", {}, "", element("small")), element("code", {}, sender.id.slice(0, 6)),
      element("span", { class: "heard" }), element("span", { class: "share" }))),
    element("p", { class: "notice", role: "status", hidden: "" }));
  for (const input of box.querySelectorAll("input")) {
    input.onchange = () => choose(input.value || null);
    if (input.value === held) input.focus();
  }
  elsewhere = "";
}

async function choose(id) {
  try {
    const answer = await fetch("/sender", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ id }) });
    if (!answer.ok) throw new Error(await answer.text());
    stats = await answer.json();
  } catch {
    toast("The sender could not be chosen");
  }
  show();
}
