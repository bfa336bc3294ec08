() => {
  // A folder that is dropped becomes its files: Gradio takes those alone.
  async function* filesOf(entry) {
    if (entry.name.startsWith(".")) return;
    if (entry.isFile) {
      yield await new Promise((resolve, reject) => entry.file(resolve, reject));
      return;
    }
    const reader = entry.createReader();
    for (;;) { // a hundred at a time
      const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!entries.length) return;
      for (const each of entries) yield* filesOf(each);
    }
  }
  const take = async (event) => {
    const input = event.target.closest("#own-images")?.querySelector("input[type=file]");
    const entries = Array.from(event.dataTransfer.items, (item) => item.webkitGetAsEntry()).filter(Boolean);
    if (!input || !entries.some((entry) => entry.isDirectory)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    event.target.dispatchEvent(new DragEvent("dragleave", { bubbles: true }));
    const found = new DataTransfer();
    for (const entry of entries) for await (const file of filesOf(entry)) found.items.add(file);
    input.files = found.files;
    input.dispatchEvent(new Event("change"));
  };
  document.addEventListener("drop", take, true);
}
