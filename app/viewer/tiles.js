// A large photograph comes small at first; looked at closely, its tiles are asked for, as app/viewer/tiles.py cut them.

class Tiles {
  /** facts: { size: [width, height], files }; photo: the small one's <img>, which lies in the same sheet. */
  constructor(facts, photo) {
    [this.facts, this.photo, this.asked] = [facts, photo, new Set()];
    this.element = make("div", { class: "tiles" });
  }

  /** Ask for the tiles that are in sight, where the photograph is shown larger than its small one is. */
  show(stage, sheet) {
    const whole = sheet.getBoundingClientRect();
    if (!whole.width || whole.width * devicePixelRatio <= this.photo.naturalWidth) return;
    const frame = stage.getBoundingClientRect();
    const [width, height] = this.facts.size;
    const across = Math.ceil(width / CONSTANTS.tile);
    this.facts.files.forEach((file, i) => {
      const [left, top] = [(i % across) * CONSTANTS.tile, Math.floor(i / across) * CONSTANTS.tile];
      const [right, bottom] = [Math.min(left + CONSTANTS.tile, width), Math.min(top + CONSTANTS.tile, height)];
      const x = (pixel) => whole.left + (pixel / width) * whole.width;
      const y = (pixel) => whole.top + (pixel / height) * whole.height;
      const away = x(right) < frame.left || x(left) > frame.right || y(bottom) < frame.top || y(top) > frame.bottom;
      if (away || this.asked.has(i)) return;
      this.asked.add(i);
      const percent = (part, of) => `${(100 * part) / of}%`;
      const place = `left:${percent(left, width)};top:${percent(top, height)};width:${percent(right - left, width)};height:${percent(bottom - top, height)}`;
      this.element.append(make("img", { src: served(file), style: place, alt: "" }));
    });
  }
}

/** Where a file of the server's is found. */
const served = (file) => new URL(`gradio_api/file=${encodeURI(file)}`, `${window.gradio_config?.root ?? document.baseURI}/`).href;
