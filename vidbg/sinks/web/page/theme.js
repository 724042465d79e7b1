// Runs before the first paint, so that nothing that was chosen for this page flashes or moves.
for (const choice of ["theme", "explain"]) {
  const chosen = localStorage.getItem(`vidbg-${choice}`);
  if (chosen) document.documentElement.dataset[choice] = chosen;
}
