"use strict";

// The token pages work without this script. It adds a copy button and a countdown, and hides the
// fields of products that are not selected.

document.addEventListener("DOMContentLoaded", () => {
  for (const box of document.querySelectorAll("[data-twilio-product]")) {
    const rows = box.closest("fieldset")?.querySelectorAll(".twilio-field") ?? [];
    const draw = () => rows.forEach((row) => (row.hidden = !box.checked && !row.contains(box)));
    box.addEventListener("change", draw);
    draw();
  }

  const countdown = document.getElementById("twilio-countdown");
  const seconds = Number(countdown?.dataset.seconds);
  if (seconds) {
    // Counts from the page's arrival, because the clocks of server and browser may differ.
    const end = performance.now() + 1000 * seconds;
    const two = (number) => String(number).padStart(2, "0");
    const draw = () => {
      const left = Math.max(0, Math.ceil((end - performance.now()) / 1000));
      const [hours, minutes] = [Math.floor(left / 3600), Math.floor(left / 60) % 60];
      countdown.textContent = left
        ? `${two(hours)}:${two(minutes)}:${two(left % 60)}`
        : countdown.dataset.expired;
      countdown.classList.toggle("twilio-bad", !left);
      if (left) setTimeout(draw, (end - performance.now()) % 1000 || 1000);
    };
    draw();
  }

  const button = document.getElementById("twilio-copy");
  if (button) {
    const token = document.getElementById("twilio-token");
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(token.value);
      } catch {
        // Without HTTPS, this clipboard is not available.
        token.select();
        document.execCommand("copy");
        button.focus();
      }
      document.getElementById("twilio-copied").textContent = button.dataset.copied;
    });
  }
});
